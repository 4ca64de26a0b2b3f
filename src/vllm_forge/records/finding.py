"""What is wrong, the line that proves it, and an act that mends it."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """`code` is kebab-case, stable, and has its page in docs/findings/."""

    code: str
    severity: Severity
    cause: str
    evidence: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()
