"""`build`: do what the plan says."""

import os
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Annotated, Literal

from cyclopts import Parameter

from vllm_forge.cli.common import Common, environment, put, put_json, say, show
from vllm_forge.cli.doors import open_doors_of, with_store
from vllm_forge.cli.locking import plan_locked
from vllm_forge.cli.plan import exit_code_of, show_plan
from vllm_forge.cli.planning import make_plan
from vllm_forge.cli.watching import watching
from vllm_forge.records.built import Built
from vllm_forge.records.codec import render_json
from vllm_forge.records.event import Note
from vllm_forge.records.plan import (
    Compile,
    Configure,
    Environment,
    Plan,
    Register,
    Reuse,
    Source,
    Specialize,
)
from vllm_forge.records.problem import ExitCode
from vllm_forge.records.receipt import Receipt
from vllm_forge.records.wishes import Wishes
from vllm_forge.run.built import keep_built
from vllm_forge.run.doing.site import Site, requirement_lines
from vllm_forge.run.doors import Doors
from vllm_forge.run.environment import python_of
from vllm_forge.run.execute import execute
from vllm_forge.run.marks import marks_of
from vllm_forge.run.presets import PRESETS, preset_of, write_presets
from vllm_forge.run.receipts import why_redo_any
from vllm_forge.run.register import build_wheel
from vllm_forge.run.scheduler import read_latest
from vllm_forge.run.standing import Standing, keep_standing, sign, standing_file
from vllm_forge.show.plan import render_plan
from vllm_forge.show.schedule import render_summary
from vllm_forge.verify.release_wheel import is_extension


@dataclass(frozen=True, slots=True)
class BuildDocument:
    """cli.md's `build` document; `receipt` holds one receipt a step."""

    status: Literal["built", "unchanged", "refused"]
    plan: Plan
    receipt: tuple[Receipt, ...]
    environment: str | None = None
    wheel: str | None = None


def build(
    *,
    wishes: Annotated[Wishes, Parameter(name="*")] = Wishes(),  # noqa: B008 -- frozen
    wheel: Path | None = None,
    locked: Path | None = None,
    install_system_packages: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False,
    common: Common = Common(),  # noqa: B008 -- frozen
) -> int:
    """Make the environment, compile vLLM's extensions, register the editable install.

    Parameters
    ----------
    wheel
        Also write a wheel of the built tree into this folder.
    locked
        Build exactly what this lock says, and fail by name where that cannot be.
    install_system_packages
        Install missing distribution packages with apt instead of unpacking them under the home.
    dry_run
        Print the plan and stop.
    """
    document = build_document(
        wishes, common, Extras(wheel, locked, install_system_packages), dry_run=dry_run
    )
    if document is None:
        return ExitCode.DONE
    if common.json:
        put_json(document)
    elif document.wheel:
        put(document.wheel)
    # What an interpreter lends can change without any file that an instant answer looks at.
    fixed = wishes.vllm != "latest" and wishes.torch_from is None
    if wheel is None and document.environment is not None and fixed:
        remember(document, common)
    return exit_code_of(document.plan)


def remember(document: BuildDocument, common: Common) -> None:
    """Keep what this command line stands on, so that its next no-op is instant."""
    home = common.place
    tree = next(
        step.action.source for step in document.plan.steps if isinstance(step.action, Register)
    )
    answer = render_json(replace(document, status="unchanged"))
    keep_standing(
        standing_file(home.path, sys.argv[1:]),
        Standing(
            signature=sign(tree, sys.argv[1:], environment()),
            receipts=str(home.receipts(document.plan.key)),
            marks=marks_of(document.plan),
            tree=tree,
            environment=document.environment or "",
            document=answer,
        ),
    )


@dataclass(frozen=True, slots=True)
class Extras:
    """What a build may do besides building."""

    wheel: Path | None = None
    locked: Path | None = None
    install_system: bool = False


def build_document(
    wishes: Wishes, common: Common, extras: Extras, *, dry_run: bool
) -> BuildDocument | None:
    """Plan and execute; None when only the plan was to be shown."""
    began = datetime.now(UTC)
    with watching(quiet=common.quiet or dry_run) as emit:
        doors = with_store(open_doors_of(wishes, common.place, emit), wishes.store)
        made = _plan(wishes, doors, extras)
        if dry_run:
            show_plan(made, common, explain=False)
            return None
        if made.status == "refused":
            show(render_plan(made, explain=False), err=True)
            return BuildDocument("refused", made, ())
        unchanged = why_redo_any(marks_of(made), doors.home.receipts(made.key)) is None
        if not common.quiet:
            for warning in made.warnings:
                say(f"warning: {warning}")
        receipts = execute(made, doors)
        built = built_of(made, receipts)
        keep_built(built, doors.home)
        offer_presets(made, receipts, doors)
    if not common.quiet:
        for line in summary_since(began, doors.home.receipts(made.key)):
            say(line)
    return BuildDocument(
        "unchanged" if unchanged else "built",
        made,
        receipts,
        built.environment,
        None if extras.wheel is None else str(wheel_of(made, built, extras.wheel)),
    )


def offer_presets(plan: Plan, receipts: tuple[Receipt, ...], doors: Doors) -> None:
    """Into a tree of the user's: CMake presets with the very configuration of this build."""
    actions = [step.action for step in plan.steps]
    mine = any(isinstance(one, Source) and one.origin == "tree" for one in actions)
    if not mine or not any(isinstance(one, Configure) for one in actions):
        return
    facts = {name: value for one in receipts for name, value in one.facts.items()}
    site = Site(plan.steps[-1], plan, doors, facts, Path(os.devnull))
    try:
        said = write_presets(preset_of(site), doors.home.cmake(plan.key) / PRESETS)
    except OSError as error:
        said = f"no CMake presets: {error}"
    if said is not None:
        doors.emit(Note(monotonic(), said))


def summary_since(began: datetime, receipts: Path) -> tuple[str, ...]:
    """Lines about the compiles since then; () where there were none."""
    record = read_latest(receipts)
    if record is None or datetime.fromisoformat(record.started) < began:
        return ()
    return (*render_summary(record), "in full: vllm-forge report")


def _plan(wishes: Wishes, doors: Doors, extras: Extras) -> Plan:
    if extras.locked is not None:
        return plan_locked(extras.locked, wishes, doors, install_system=extras.install_system).plan
    return make_plan(wishes, doors, install_system=extras.install_system).plan


def built_of(plan: Plan, receipts: tuple[Receipt, ...]) -> Built:
    """What the environment will say of itself."""
    facts = {name: value for one in receipts for name, value in one.facts.items()}
    actions = [step.action for step in plan.steps]
    register = next(action for action in actions if isinstance(action, Register))
    special = next((one.specialization for one in actions if isinstance(one, Specialize)), None)
    environment = next(action for action in actions if isinstance(action, Environment))
    configure = next((action for action in actions if isinstance(action, Configure)), None)
    put_there = [
        thing.path
        for step, receipt in zip(plan.steps, receipts, strict=True)
        if isinstance(step.action, Compile | Reuse)
        for thing in receipt.made
    ]
    return Built(
        key=plan.key,
        version=register.version,
        device=register.device,
        tree=register.source,
        environment=environment.path,
        python=str(python_of(Path(environment.path))),
        torch=facts["torch_version"] or "",
        torch_cuda=facts["torch_cuda"],
        gpu_arch=tuple(plan.choices["gpu_arch"].value or ()),
        extensions=tuple(path for path in put_there if is_extension(path)),
        targets=plan.targets,
        build=configure.build if configure else None,
        toolkit=configure.variables.get("CUDA_HOME") if configure else None,
        reused={
            target.name: str(Path(action.source) / target.members[0].name)
            for action in actions
            if isinstance(action, Reuse)
            for target in action.targets
        },
        made_for=special.made_for if special else None,
        left_out={one.target: special.files_of(one.target) for one in special.left_out}
        if special
        else {},
    )


def wheel_of(plan: Plan, built: Built, folder: Path) -> Path:
    requires = (f"torch=={built.torch.split('+')[0]}", *requirement_lines(plan))
    python = str(plan.choices["python"].value)
    minor = ".".join(python.split(".")[:2])
    return build_wheel(Path(built.tree), folder, built.version, requires, minor)
