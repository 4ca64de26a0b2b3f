"""The form of what we know about failures: data, told apart from the engine that matches it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from vllm_forge.diagnose.blocks import HARD, Kind
from vllm_forge.diagnose.clues import Clues
from vllm_forge.records.finding import Severity
from vllm_forge.records.machine import Machine

Names = Mapping[str, str]
"""What a pattern's named groups caught; a group that took no part is the empty string."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What advice may lean on: the machine, what else the log tells, the plan (as JSON)."""

    machine: Machine
    clues: Clues
    plan: Mapping[str, object] = field(default_factory=dict)


Fix = Callable[[Names, Scene], tuple[str, ...]]
Cause = Callable[[Names, Scene], str]


@dataclass(frozen=True, slots=True)
class Signature:
    """One way in which one failure shows itself. Several may share a code.

    `pattern` is searched in the text of blocks whose kind is in `kinds`. `also` must be found in
    the same block. `accept` judges what the pattern caught. `cause` is a template over the names or
    a function. A signature with `before` speaks of a warning: it counts only when a hard block that
    follows matches `before`. One that `yields_to` another code is its consequence and is left out
    when that other is found.
    """

    code: str
    kinds: frozenset[Kind]
    pattern: re.Pattern[str]
    cause: str | Cause
    fix: Fix
    also: re.Pattern[str] | None = None
    unless: re.Pattern[str] | None = None
    accept: Callable[[Names], bool] | None = None
    before: re.Pattern[str] | None = None
    yields_to: frozenset[str] = frozenset()
    severity: Severity = Severity.ERROR


def kinds(*names: Kind) -> frozenset[Kind]:
    return frozenset(names) or HARD


def pattern(text: str) -> re.Pattern[str]:
    """A pattern for text that its printer wrapped: a blank matches any white space."""
    return re.compile(text.replace(" ", r"\s+"))


def acts(*lines: str) -> Fix:
    """A fix that is the same on every machine; `{name}` is filled from the pattern's groups."""

    def fix(names: Names, scene: Scene) -> tuple[str, ...]:
        del scene
        return tuple(line.format_map(names) for line in lines)

    return fix
