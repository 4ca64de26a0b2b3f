"""`plan`: resolve, and print what would be done and why."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from vllm_forge.cli.common import Common, put_json, show
from vllm_forge.cli.doors import open_doors_of
from vllm_forge.cli.planning import make_plan
from vllm_forge.records.codec import render_json
from vllm_forge.records.plan import Plan
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.wishes import Wishes
from vllm_forge.run.files import write_atomically
from vllm_forge.show.plan import render_plan


def plan(
    *,
    wishes: Annotated[Wishes, Parameter(name="*")] = Wishes(),  # noqa: B008 -- frozen
    machine: Path | None = None,
    explain: Annotated[bool, Parameter(negative="")] = False,
    lock: Path | None = None,
    common: Common = Common(),  # noqa: B008 -- frozen
) -> int:
    """Resolve, and print what would be done and why; nothing is installed or compiled.

    Parameters
    ----------
    machine
        Plan for the machine in FILE (as `doctor --json` prints it) instead of this one.
    explain
        Print the reason of every choice, and where it was read.
    lock
        Write everything pinned into this file, for `build --locked`.
    """
    if lock is not None and wishes.torch_from is not None:
        raise Problem(
            "what --torch-from lends cannot be locked: it has no hash",
            hints=("lock without --torch-from, or build without a lock",),
            exit_code=ExitCode.USAGE,
        )
    doors = open_doors_of(wishes, common.place, lambda _event: None)
    planned = make_plan(wishes, doors, machine_file=machine)
    if lock is not None and planned.plan.status == "ok":
        from vllm_forge.cli.locking import lock_of  # noqa: PLC0415 -- only a lock resolves packages

        write_atomically(lock.absolute(), render_json(lock_of(planned, doors)) + "\n")
    show_plan(planned.plan, common, explain=explain)
    return exit_code_of(planned.plan)


def show_plan(made: Plan, common: Common, *, explain: bool) -> None:
    """The document on stdout, or the same for people."""
    if common.json:
        put_json(made)
    elif not common.quiet:
        show(render_plan(made, explain=explain))


def exit_code_of(made: Plan) -> int:
    return ExitCode.DONE if made.status == "ok" else ExitCode.REFUSED
