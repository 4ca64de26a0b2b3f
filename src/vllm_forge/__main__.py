"""argv in, exit code out."""

import os
import sys

from vllm_forge.run.home import home_from_arguments
from vllm_forge.run.standing import read_standing, standing_file


def main() -> int:
    """The console script. A build with nothing to do ends here; all else is parsed."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["build"]:
        standing = read_standing(
            standing_file(home_from_arguments(arguments), arguments), arguments, os.environ
        )
        if standing is not None:
            if "--json" in arguments:
                sys.stdout.write(f"{standing.document}\n")
            elif "--quiet" not in arguments:
                sys.stderr.write(f"nothing to do: {standing.environment} is as it was built\n")
            return 0
    from vllm_forge.cli.app import run_command_line  # noqa: PLC0415 -- half of the start-up time

    return run_command_line(arguments)


if __name__ == "__main__":
    sys.exit(main())
