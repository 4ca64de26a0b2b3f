"""What a step left behind: enough to skip it, to answer for it, and to sum it up."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Made:
    """One file that a step made; size in bytes, mtime in nanoseconds, sha256 hex where hashed."""

    path: str
    size: int
    mtime_ns: int
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """`facts` are what later steps need to know (torch's proven version, the release's day).

    `peak_bytes` is the largest single process; `finished` ISO 8601 in UTC.
    """

    step: str
    fingerprint: str
    made: tuple[Made, ...]
    seconds: float
    finished: str
    facts: dict[str, str | None] = field(default_factory=dict)
    cpu_seconds: float | None = None
    peak_bytes: int | None = None
