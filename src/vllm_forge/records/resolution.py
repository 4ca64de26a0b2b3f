"""All decisions of one plan, made or refused."""

from dataclasses import dataclass
from typing import Any

from vllm_forge.records.decision import Chosen, Refused
from vllm_forge.records.machine import Compiler, Python
from vllm_forge.records.plan import PlannedTarget, SystemPackages
from vllm_forge.records.release import ExtensionTarget
from vllm_forge.records.wishes import Device, Isa


@dataclass(frozen=True, slots=True)
class CpuBuild:
    """Everything a CPU build needs to know, chosen."""

    device: Chosen[Device]
    python: Chosen[Python]
    torch: Chosen[str]
    compiler: Chosen[Compiler]
    isa: Chosen[Isa]
    jobs: Chosen[int]
    system_packages: Chosen[SystemPackages | None]
    extensions: tuple[ExtensionTarget, ...]


@dataclass(frozen=True, slots=True)
class Resolution:
    """`build` is None when anything was refused; `chosen` and `refused` hold every decision."""

    chosen: tuple[Chosen[Any], ...]
    refused: tuple[Refused, ...]
    targets: tuple[PlannedTarget, ...]
    build: CpuBuild | None
