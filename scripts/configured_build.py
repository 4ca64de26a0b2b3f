"""A CUDA build taken as far as CMake's configure: what benchmarks of compilers begin with."""

import sys
from dataclasses import replace
from pathlib import Path

from vllm_forge.cli.doors import open_doors
from vllm_forge.cli.planning import make_plan
from vllm_forge.records.event import Event, Note, StepStarted
from vllm_forge.records.home import Home
from vllm_forge.records.plan import Configure
from vllm_forge.records.wishes import Wishes
from vllm_forge.run.execute import execute

RECIPE = Wishes(
    vllm="0.10.1",
    cuda="12.4",
    gpu_arch="8.9",
    torch="2.7.1",
    targets=("_C", "_moe_C", "cumem_allocator"),
)
"""The recipe's build, with a torch that can compile it, of what registries alone give."""


def configure_build(home: Path, wishes: Wishes = RECIPE) -> Path:
    """The configured build folder; nothing is done again that the home has.

    Raises:
        Problem: of the step that failed.
        RuntimeError: where the plan is refused.
    """
    doors = open_doors(Home(home.absolute()), _say, offline=False)
    plan = make_plan(wishes, doors).plan
    names = [step.name for step in plan.steps]
    if "configure" not in names:
        raise RuntimeError("; ".join(str(one) for one in plan.refusals))
    last = plan.steps[names.index("configure")]
    execute(replace(plan, steps=plan.steps[: names.index("configure") + 1]), doors)
    assert isinstance(last.action, Configure)  # noqa: S101 -- a step of that name
    return Path(last.action.build)


def _say(event: Event) -> None:
    match event:
        case StepStarted():
            print(f"  {event.title}", file=sys.stderr, flush=True)
        case Note():
            print(f"  {event.message}", file=sys.stderr, flush=True)
        case _:
            pass
