"""A decision carries its reasons; a refusal is a value, not an exception."""

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reason:
    """One fact that led to a decision, and where that fact was read."""

    fact: str
    source: str


@dataclass(frozen=True, slots=True)
class Chosen(Generic[T]):
    """`warnings` are said to the user even when nothing is asked for: it works, but look here."""

    subject: str
    value: T
    because: tuple[Reason, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """`ways_out` are acts that lead to a plan, each one line and paste-able."""

    subject: str
    because: tuple[Reason, ...]
    ways_out: tuple[str, ...] = ()


Decision = Chosen[T] | Refused
