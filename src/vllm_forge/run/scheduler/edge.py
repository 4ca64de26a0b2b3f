"""One compile between its question and its end, as the broker knows it."""

import os
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from vllm_forge.records.event import AtWork
from vllm_forge.records.schedule import Command, CompileRecord, Prediction, Running, Waiting
from vllm_forge.run.scheduler.learned import MORE
from vllm_forge.run.scheduler.processes import children_of, measure_tree

LIGHT: Final = 64 << 20
"""What a compiler cache holds while it looks for a hit."""

NEAR: Final = 0.9
FALLEN: Final = 0.5
"""A compile is past its peak when it held this part of it, and has since fallen below that part."""

RETRIED: Final = frozenset({signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT})
"""What a compiler dies of for want of memory. SIGTERM and SIGINT were meant."""


@dataclass(slots=True)
class Edge:
    """A launcher's compile. Moments are seconds since the schedule began.

    With ccache, the launcher in front asks for a core, and one inside ccache (`inner`) for memory
    once the cache has missed: a hit holds no memory back.
    """

    number: int
    connection: socket.socket
    launcher: int
    """Its process; the compiler is its only child, and leads a group."""
    command: Command
    predicted: Prediction
    asked: float
    outer: "Edge | None" = None
    inner: "Edge | None" = None
    slot: int | None = None
    started: float | None = None
    group: int | None = None
    """The compiler's process group, once it was seen."""
    alone: bool = False
    attempt: int = 1
    done: bool = False
    cached: bool | None = None
    peak_bytes: int = 0
    resident_bytes: int = 0
    held_bytes: list[int] = field(default_factory=list)
    """`resident_bytes` at every look."""
    past_peak: bool = False
    byte_seconds: float | None = None
    cpu_seconds: float = 0.0
    busy_at: float = 0.0
    """When it was last seen to use CPU."""
    said_hanging: bool = False
    oom_kills: int = 0
    """The kernel's count when it started."""
    waited_for: str | None = None
    held: str | None = None
    """Why it was passed over last."""

    @property
    def light(self) -> bool:
        """Only asks a cache so far."""
        return self.outer is None and self.command.cache == "ccache"

    def waiting(self) -> Waiting:
        """As the policy sees it before it starts; one inside a cache holds its core already."""
        return Waiting(
            self.number,
            self.command.name,
            self.predicted.seconds,
            self._promised(),
            cores=0 if self.outer is not None else self._cores(),
            alone=self.alone,
        )

    def running(self, now: float) -> Running:
        spent = now - (self.started or now)
        return Running(
            self.number,
            self.command.name,
            self._cores(),
            self._promised(),
            self.resident_bytes,
            max(0.0, self.predicted.seconds - spent),
            alone=self.alone,
        )

    def at_work(self, now: float) -> AtWork:
        """As the board shows it."""
        return AtWork(
            self.command.name,
            now - (self.started or now),
            self.resident_bytes,
            now - self.busy_at if self.said_hanging else 0.0,
            self.group,
        )

    def _cores(self) -> int:
        return max(1, min(self.command.threads, self.command.architectures))

    def _promised(self) -> int:
        if self.light:
            return LIGHT
        after = self.predicted.after_peak_bytes
        return after if self.past_peak and after is not None else self.predicted.peak_bytes

    def look(self, now: float, seconds: float) -> None:
        """See what its processes hold; `seconds` have gone by since the last look."""
        seen = measure_tree(self.launcher)
        if seen is None:
            return
        self.group = next(iter(children_of(self.launcher)), self.group)
        self.resident_bytes = seen.resident_bytes
        self.peak_bytes = max(self.peak_bytes, seen.resident_bytes)
        self.held_bytes.append(seen.resident_bytes)
        self.past_peak = self._is_past_peak()
        self.byte_seconds = (self.byte_seconds or 0.0) + seen.resident_bytes * seconds
        if seen.cpu_seconds > self.cpu_seconds:
            self.cpu_seconds, self.busy_at, self.said_hanging = seen.cpu_seconds, now, False

    def _is_past_peak(self) -> bool:
        """Never of one that holds more again than it should from then on."""
        after = self.predicted.after_peak_bytes
        if after is None or self.resident_bytes > after:
            return False
        reached = self.peak_bytes >= NEAR * self.predicted.peak_bytes
        return reached and (self.past_peak or self.resident_bytes < FALLEN * self.peak_bytes)

    def died_of(self, code: int, oom_kills: int) -> int | None:
        """The signal that ended it, or ended its child, and is worth another attempt.

        A driver whose child was killed exits with 128 + the signal, or (g++) with 1: then it counts
        that the kernel has killed something for memory in the meantime.
        """
        sign = -code if code < 0 else code - 128
        if sign in RETRIED:
            return sign
        return signal.SIGKILL if code != 0 and oom_kills > self.oom_kills else None

    def hangs(self, now: float, seconds: float) -> bool:
        """Whether it has used no CPU for so long. sccache's work is done by its server."""
        return self.command.cache != "sccache" and now - self.busy_at > seconds

    def try_again_alone(self, now: float) -> None:
        """Back among the waiting, with more memory than it died of."""
        more = int(MORE * max(self.peak_bytes, self.predicted.peak_bytes))
        self.predicted = Prediction(
            self.predicted.seconds, more, "learned", "killed at less a moment ago"
        )
        self.asked = now
        self.attempt += 1
        if self.outer is None:
            self.slot = None
        self.alone = True
        self.started = self.group = self.byte_seconds = None
        self.resident_bytes = 0
        self.held_bytes.clear()
        self.past_peak = False
        self.cpu_seconds = 0.0
        self.said_hanging = False

    def record(self, ended: float, code: int) -> CompileRecord:
        """What became of it; a miss is told by what went on inside the cache."""
        told = self.inner or self
        started = told.started if told.started is not None else ended
        return CompileRecord(
            command=self.command,
            predicted=told.predicted,
            slot=self.slot or 0,
            asked=round(self.asked, 4),
            started=round(started, 4),
            ended=round(ended, 4),
            cpu_seconds=round(self.cpu_seconds, 4),
            peak_bytes=max(told.peak_bytes, self.peak_bytes),
            resident_byte_seconds=told.byte_seconds,
            code=code,
            attempt=told.attempt,
            cached=self.cached,
            waited_for=told.waited_for or self.waited_for,
            after_peak_bytes=most_after_peak(told.held_bytes),
        )

    def kill(self) -> None:
        """End its whole process group at once."""
        group = next(iter(children_of(self.launcher)), self.group)
        if group is not None and self.started is not None and not self.done:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)


def most_after_peak(held: Sequence[int]) -> int | None:
    """The most that was held after the first fall from the peak; None where it did not fall.

    Of several such peaks the first counts: the next is held after it.

    >>> most_after_peak([1, 9, 10, 4, 3, 6, 2]), most_after_peak([1, 10, 2, 9, 3])
    (6, 9)
    >>> most_after_peak([1, 10, 6, 7]), most_after_peak([])
    (None, None)
    """
    most = max(held, default=0)
    near = next((place for place, size in enumerate(held) if size >= NEAR * most), len(held))
    fell = (place for place in range(near, len(held)) if held[place] < FALLEN * most)
    start = next(fell, None)
    return None if start is None else max(held[start:])
