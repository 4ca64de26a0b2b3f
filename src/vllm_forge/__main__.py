"""argv in, exit code out."""

import sys

from vllm_forge.cli.app import run_command_line


def main() -> int:
    """The console script."""
    return run_command_line(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
