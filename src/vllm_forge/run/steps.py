"""One step of a plan, given to whoever does its kind."""

from pathlib import Path
from typing import assert_never

from vllm_forge.records.plan import (
    Compile,
    Configure,
    Environment,
    MakeToolkit,
    Plan,
    Projects,
    Register,
    Requirements,
    Reuse,
    Source,
    Specialize,
    Step,
    SystemPackages,
)
from vllm_forge.records.receipt import Receipt
from vllm_forge.run.doing.bring import bring
from vllm_forge.run.doing.furnish import furnish
from vllm_forge.run.doing.native import make_native
from vllm_forge.run.doing.reuse import reuse
from vllm_forge.run.doing.site import Done, Site
from vllm_forge.run.doors import Doors


def do_step(step: Step, plan: Plan, doors: Doors, receipts: dict[str, Receipt], log: Path) -> Done:
    """Facts of earlier steps come out of their receipts."""
    facts = {name: value for one in receipts.values() for name, value in one.facts.items()}
    site = Site(step, plan, doors, facts, log)
    match step.action:
        case (SystemPackages() | MakeToolkit() | Projects() | Source()) as action:
            return bring(action, site)
        case (Environment() | Requirements() | Register()) as action:
            return furnish(action, site)
        case (Specialize() | Configure() | Compile()) as action:
            return make_native(action, site)
        case Reuse() as action:
            return reuse(action, site)
        case _:
            assert_never(step.action)
