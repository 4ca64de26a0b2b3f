"""What work says while it goes on. `run/` emits, `show/` renders; neither knows the other."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StepStarted:
    """`at` is seconds on the monotonic clock, as in every event; `because` says why it is done."""

    step: str
    title: str
    at: float
    because: str = ""


@dataclass(frozen=True, slots=True)
class AtWork:
    """A compile in flight: how long, and what its processes hold.

    `idle_seconds` is how long it has used no CPU, once that is long enough to be said; `group` is
    its process group, by which it can be ended.
    """

    name: str
    seconds: float
    memory_bytes: int
    idle_seconds: float = 0.0
    group: int | None = None


@dataclass(frozen=True, slots=True)
class StepProgress:
    """`done` of `total` (`unit`: files, bytes, packages); `running` are words about what goes on.

    `at_work` are compiles in flight; `held` says why the `waiting` that ask to start are not
    started.
    """

    step: str
    at: float
    done: int
    total: int | None
    unit: str
    running: tuple[str, ...] = ()
    memory_bytes: int | None = None
    at_work: tuple[AtWork, ...] = ()
    waiting: int = 0
    held: str = ""


@dataclass(frozen=True, slots=True)
class StepSkipped:
    step: str
    title: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class StepFinished:
    """`summary` is one line of what was made."""

    step: str
    at: float
    summary: str


@dataclass(frozen=True, slots=True)
class StepFailed:
    step: str
    at: float
    message: str
    log: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something the user should know and need not act on now."""

    at: float
    message: str


Event = StepStarted | StepProgress | StepSkipped | StepFinished | StepFailed | Note
Emit = Callable[[Event], None]
