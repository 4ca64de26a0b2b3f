"""What became of a build's steps, those left alone included, and why."""

from dataclasses import dataclass
from typing import Literal

from vllm_forge.records.plan import PlannedTarget

State = Literal["done", "kept", "failed", "interrupted", "not reached"]
"""`kept`: it stood from an earlier build."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`because` says why a step was done again, kept, or failed; `seconds` of the wall clock."""

    step: str
    title: str
    state: State
    because: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class LastBuild:
    """`started` is ISO 8601 in UTC; `targets` are all that the tree has, with those left out."""

    started: str
    seconds: float
    outcomes: tuple[Outcome, ...]
    targets: tuple[PlannedTarget, ...] = ()
