"""What the receipts of a plan's steps are held to."""

from typing import Final

from vllm_forge.records.plan import Compile, Configure, Plan, Reuse, Specialize, Step
from vllm_forge.run.receipts import Mark
from vllm_forge.run.specialize import identify_templates

OF_OURS: Final = (Specialize, Configure, Compile)


def marks_of(plan: Plan) -> tuple[Mark, ...]:
    """One for each step, in order.

    What it is made from counts for CMake's run and a compile, whose marks lead to a new plan; for
    a reuse where nothing is compiled. What we write into a specialized build counts for it: it
    changes when vllm-forge is upgraded.
    """
    compiles = any(isinstance(step.action, Compile) for step in plan.steps)
    special = any(isinstance(step.action, Specialize) for step in plan.steps)
    ours = f"-{identify_templates()}" if special else ""
    return tuple(
        Mark(
            step.name,
            f"{step.fingerprint}{ours if isinstance(step.action, OF_OURS) else ''}",
            _is_watched(step, compiles=compiles),
        )
        for step in plan.steps
    )


def _is_watched(step: Step, *, compiles: bool) -> bool:
    match step.action:
        case Configure() | Compile():
            return True
        case Reuse():
            return not compiles
        case _:
            return False
