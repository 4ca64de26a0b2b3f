"""`plan`: resolve, and print what would be done and why."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from vllm_forge.cli.common import Common, put_json, show
from vllm_forge.cli.doors import open_doors
from vllm_forge.cli.planning import make_plan
from vllm_forge.records.plan import Plan
from vllm_forge.records.problem import ExitCode
from vllm_forge.records.wishes import Wishes
from vllm_forge.show.plan import render_plan


def plan(
    *,
    wishes: Annotated[Wishes, Parameter(name="*")] = Wishes(),  # noqa: B008 -- frozen
    machine: Path | None = None,
    explain: Annotated[bool, Parameter(negative="")] = False,
    common: Common = Common(),  # noqa: B008 -- frozen
) -> int:
    """Resolve, and print what would be done and why; nothing is installed or compiled.

    Parameters
    ----------
    machine
        Plan for the machine in FILE (as `doctor --json` prints it) instead of this one.
    explain
        Print the reason of every choice, and where it was read.
    """
    doors = open_doors(common.place, lambda _event: None, offline=wishes.offline)
    made = make_plan(wishes, doors, machine_file=machine).plan
    show_plan(made, common, explain=explain)
    return exit_code_of(made)


def show_plan(made: Plan, common: Common, *, explain: bool) -> None:
    """The document on stdout, or the same for people."""
    if common.json:
        put_json(made)
    elif not common.quiet:
        show(render_plan(made, explain=explain))


def exit_code_of(made: Plan) -> int:
    return ExitCode.DONE if made.status == "ok" else ExitCode.REFUSED
