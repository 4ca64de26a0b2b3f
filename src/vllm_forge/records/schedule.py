"""Which compile may start when: what is predicted of it, what was decided, and what became of it.

Bytes are resident bytes of a compile's whole process tree; seconds are of the wall clock unless
they are called CPU seconds. Moments count from the start of the schedule on the monotonic clock.
"""

from dataclasses import dataclass, field
from typing import Literal

Origin = Literal["learned", "measured", "guessed"]
"""From an earlier compile here, from the shipped table, or from the shape of the command."""

Kind = Literal["nvcc", "c++", "c", "link", "other"]


@dataclass(frozen=True, slots=True)
class Command:
    """What a compile is, read off its command line.

    `target` and `file` are CMake's target and the source as it names the object (`_C`,
    `csrc/cache_kernels.cu`); `flags` are those that change its cost, as one short text;
    `architectures` counts GPU code passes, `threads` is nvcc's --threads. `cache` is the compiler
    cache it runs behind.
    """

    kind: Kind
    target: str
    file: str
    source: str | None
    flags: str
    architectures: int = 1
    threads: int = 1
    torch: bool = False
    cache: str | None = None

    @property
    def name(self) -> str:
        """`_C/csrc/cache_kernels.cu`."""
        return f"{self.target}/{self.file}" if self.target else self.file


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one compile will cost; `because` says where that is from.

    `after_peak_bytes` is the most it holds once it is past its peak; None where that is not known.
    """

    seconds: float
    peak_bytes: int
    origin: Origin
    because: str
    after_peak_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """A row of the shipped table: one architecture, one thread.

    `target`, `file` and `flags` are globs. `cpu_seconds` and `peak_bytes` are the least and the
    most of the `files` that the row was measured on (or stands for), `after_peak_bytes` the most.
    """

    kind: Kind
    target: str
    file: str
    cpu_seconds: tuple[float, float]
    peak_bytes: tuple[int, int]
    files: int
    source: str
    flags: str = "*"
    after_peak_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A compile that asks to start. `cores` is 0 for one that holds its core already.

    `alone`: it was killed before, and gets the machine to itself.
    """

    number: int
    name: str
    seconds: float
    peak_bytes: int
    cores: int = 1
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """A compile at work; `left_seconds` and `peak_bytes` as predicted, `resident_bytes` as seen.

    For one past its peak `peak_bytes` is what it may still come to hold.
    """

    number: int
    name: str
    cores: int
    peak_bytes: int
    resident_bytes: int
    left_seconds: float
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Room:
    """What there is to share out; None: not known, then it holds nothing back.

    `available_bytes` can be had now beyond what running compiles hold (the least of MemAvailable
    and every cgroup); `ceiling_bytes` is the most all compiles may ever hold (the least of the
    machine, its cgroups and --memory). `pressure` is PSI's `memory some avg10` in percent.
    `idle_seconds`: for so long nothing has been running although something waits.
    """

    cores: int
    available_bytes: int | None
    ceiling_bytes: int | None
    pressure: float = 0.0
    idle_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Admitted:
    """`warning`: it may well not fit, and starts because nothing better can be done."""

    number: int
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who starts now; of those looked at and held, why. `held` answers for all others."""

    admitted: tuple[Admitted, ...]
    reasons: dict[int, str]
    held: str


@dataclass(frozen=True, slots=True)
class CompileRecord:
    """One compile (or link) as it went.

    `slot` is the timeline's lane. `waited_for` is the last reason it was held, None when it started
    at once. `resident_byte_seconds` is the integral of its memory, None where it was too short to
    be seen. `cached`: answered by a compiler cache; None where that cannot be told. `code` is its
    exit code, negative for a signal. `attempt` is 2 for a retry after a kill. `after_peak_bytes` is
    the most it held after its peak; None where it was not seen to fall from one.
    """

    command: Command
    predicted: Prediction
    slot: int
    asked: float
    started: float
    ended: float
    cpu_seconds: float
    peak_bytes: int
    resident_byte_seconds: float | None
    code: int
    attempt: int = 1
    cached: bool | None = None
    waited_for: str | None = None
    after_peak_bytes: int | None = None

    @property
    def seconds(self) -> float:
        return self.ended - self.started


@dataclass(frozen=True, slots=True)
class MemorySample:
    """At moment `at`: what the compiles held together, what was left to have, and PSI's some."""

    at: float
    resident_bytes: int
    available_bytes: int | None
    pressure: float
    running: int
    waiting: int


@dataclass(frozen=True, slots=True)
class CacheUse:
    """What a compiler cache answered in one build, as it says itself.

    `hits` and `misses` count compiles; `missed` says why, reason → how many. `folder` is where it
    keeps what it kept.
    """

    name: str
    version: str
    folder: str
    hits: int
    misses: int
    missed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScheduleRecord:
    """One build's compiles, and what they shared out.

    `started` is ISO 8601 in UTC. `memory_bytes` is the room at the start: what could be had then,
    under the ceiling. `unchanged` counts objects that stood from earlier and were not compiled.
    `degraded` says why the scheduler gave up, if it did; the build went on without it. `cache` is
    None where compiles ran without a compiler cache.
    """

    started: str
    seconds: float
    cores: int
    memory_bytes: int | None
    compiles: tuple[CompileRecord, ...]
    samples: tuple[MemorySample, ...]
    unchanged: int = 0
    notes: tuple[str, ...] = ()
    degraded: str | None = None
    cache: CacheUse | None = None


@dataclass(frozen=True, slots=True)
class Bound:
    """Below `seconds` no schedule of these compiles on this machine can end.

    The largest of three: the longest compile and the longest link after it; all work over all
    cores; all memory held, over its time, over the memory there is (None where it was not seen).
    """

    longest_seconds: float
    cores_seconds: float
    memory_seconds: float | None

    @property
    def seconds(self) -> float:
        return max(self.longest_seconds, self.cores_seconds, self.memory_seconds or 0.0)

    @property
    def binding(self) -> str:
        """Which of the three is the largest, in words."""
        if self.memory_seconds is not None and self.memory_seconds >= self.seconds:
            return "memory"
        return "the longest file" if self.longest_seconds >= self.seconds else "cores"
