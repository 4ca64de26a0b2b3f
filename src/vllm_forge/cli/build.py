"""`build`: do what the plan says."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from vllm_forge.cli.common import Common, put, put_json, say
from vllm_forge.cli.doors import open_doors
from vllm_forge.cli.plan import exit_code_of, show_plan
from vllm_forge.cli.planning import make_plan
from vllm_forge.cli.watching import watching
from vllm_forge.records.built import Built
from vllm_forge.records.plan import Compile, Environment, Plan, Register
from vllm_forge.records.receipt import Receipt
from vllm_forge.records.wishes import Wishes
from vllm_forge.run.built import keep_built
from vllm_forge.run.environment import python_of
from vllm_forge.run.execute import execute, holds
from vllm_forge.run.register import build_wheel
from vllm_forge.run.steps import requirement_lines
from vllm_forge.show.plan import render_plan


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
    install_system_packages: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False,
    common: Common = Common(),  # noqa: B008 -- frozen
) -> int:
    """Make the environment, compile vLLM's extensions, register the editable install.

    Parameters
    ----------
    wheel
        Also write a wheel of the built tree into this folder.
    install_system_packages
        Install missing distribution packages with apt instead of unpacking them under the home.
    dry_run
        Print the plan and stop.
    """
    document = build_document(
        wishes, common, wheel=wheel, install=install_system_packages, dry_run=dry_run
    )
    if common.json and document is not None:
        put_json(document)
    elif document is not None and document.wheel:
        put(document.wheel)
    return 0 if document is None else exit_code_of(document.plan)


def build_document(
    wishes: Wishes, common: Common, *, wheel: Path | None, install: bool, dry_run: bool
) -> BuildDocument | None:
    """Plan and execute; None when only the plan was to be shown."""
    with watching(quiet=common.quiet or dry_run) as emit:
        doors = open_doors(common.place, emit, offline=wishes.offline)
        made = make_plan(wishes, doors, install_system=install).plan
        if dry_run:
            show_plan(made, common, explain=False)
            return None
        if made.status == "refused":
            Console(stderr=True).print(render_plan(made, explain=False))
            return BuildDocument("refused", made, ())
        unchanged = holds(made, doors.home) is None
        if not common.quiet:
            for warning in made.warnings:
                say(f"warning: {warning}")
        receipts = execute(made, doors)
        built = built_of(made, receipts)
        keep_built(built, doors.home)
    return BuildDocument(
        "unchanged" if unchanged else "built",
        made,
        receipts,
        built.environment,
        None if wheel is None else str(wheel_of(made, built, wheel)),
    )


def built_of(plan: Plan, receipts: tuple[Receipt, ...]) -> Built:
    """What the environment will say of itself."""
    facts = {name: value for one in receipts for name, value in one.facts.items()}
    actions = [step.action for step in plan.steps]
    register = next(action for action in actions if isinstance(action, Register))
    environment = next(action for action in actions if isinstance(action, Environment))
    compiled = [
        receipt
        for step, receipt in zip(plan.steps, receipts, strict=True)
        if isinstance(step.action, Compile)
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
        extensions=tuple(thing.path for receipt in compiled for thing in receipt.made),
        targets=plan.targets,
    )


def wheel_of(plan: Plan, built: Built, folder: Path) -> Path:
    requires = (f"torch=={built.torch.split('+')[0]}", *requirement_lines(plan))
    python = str(plan.choices["python"].value)
    minor = ".".join(python.split(".")[:2])
    return build_wheel(Path(built.tree), folder, built.version, requires, minor)
