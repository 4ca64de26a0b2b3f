"""The verbs, and the one place where an error becomes words and an exit code."""

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App, CycloptsError
from rich.console import Console

from vllm_forge import __version__
from vllm_forge.records.codec import render_json
from vllm_forge.records.finding import Finding
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.show.problem import ErrorDocument, render_problem

app = App(
    name="vllm-forge",
    help="From a bare Linux machine to a vLLM built from source that runs your checkpoint.",
    version=__version__,
    help_format="plaintext",  # markdown costs a tenth of a second of imports
    result_action="return_value",
    suppress_keyboard_interrupt=False,
)
VERBS = {
    "doctor": "What this machine is and what would stop a build.",
    "plan": "Resolve, and print what would be done and why.",
    "build": "Make the environment, compile, register the editable install.",
    "verify": "Prove an environment: symbols, import, text from a tiny model.",
    "up": "Plan, build and verify: from this machine as it is to generated text.",
    "inspect": "What a checkpoint, source tree, wheel or shared object is, and what fits it.",
    "toolkit": "CUDA toolkits: list them, make one without root, remove one.",
    "cache": "What is kept of compiles, and what that saved; prune it, verify it.",
    "releases": "Known vLLM releases with their facts; `releases show` reads one.",
    "repair": "Make a corrected view of a checkpoint; the original is not touched.",
    "dequantize": "Make an equivalent BF16 checkpoint.",
    "run": "Generate text from a checkpoint; the way to run it here is chosen and shown.",
    "explain": "The cause of a failed log, the line that proves it, and what to do.",
    "dev": "Watch a tree of yours: every save compiles what it touches, and nothing else.",
    "report": "The last build as one HTML page: timeline, memory, bound, what was left alone.",
    "serve": "Serve a checkpoint with vLLM's OpenAI-compatible server.",
}
"""Each verb is a module of its own, loaded when used: `--help` imports none of them."""

for verb, purpose in VERBS.items():
    app.command(f"vllm_forge.cli.{verb}:{verb}", name=verb, help=purpose)


def run_command_line(arguments: Sequence[str]) -> int:
    """Run one verb; every way out of it is an exit code of `records.problem.ExitCode`."""
    try:
        code = app(
            list(arguments),
            exit_on_error=False,
            print_error=True,
            error_console=Console(stderr=True),
        )
    except CycloptsError:
        return ExitCode.USAGE
    except Problem as problem:
        sys.stderr.write(render_problem(problem))
        findings = _explain(problem)
        if "--json" in arguments:
            sys.stdout.write(f"{render_json(ErrorDocument.of(problem, findings))}\n")
        return problem.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; run the same command again to go on from here\n")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return ExitCode.DONE
    except Exception:  # noqa: BLE001 -- the edge: what was not foreseen is our bug, and says so
        sys.stderr.write(traceback.format_exc())
        sys.stderr.write("this is a bug of vllm-forge; please report it with the lines above\n")
        return ExitCode.BUG
    return code if isinstance(code, int) else ExitCode.DONE


def _explain(problem: Problem) -> tuple[Finding, ...]:
    """A failed step ends with its own explanation, when its log says more than the message."""
    if problem.log is None:
        return ()
    from vllm_forge.cli.explain import explain_own  # noqa: PLC0415 -- only a failure needs it

    return explain_own(Path(problem.log))
