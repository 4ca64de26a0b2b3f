"""One question that a proof answers."""

from dataclasses import dataclass
from enum import StrEnum


class CheckStatus(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """`name` is `QUESTION:SUBJECT` (`symbols:_C.abi3.so`); `detail` the answer in one line.

    `evidence` are the lines that prove it, the telling ones first. SKIPPED: it could not be asked
    here, and `detail` says why.
    """

    name: str
    status: CheckStatus
    detail: str
    evidence: tuple[str, ...] = ()
