"""The shop floor: which compiles wait, which run, what they hold, and who starts next."""

import signal
from bisect import insort
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from vllm_forge.records.event import AtWork
from vllm_forge.records.schedule import CompileRecord, MemorySample, Room, Waiting
from vllm_forge.resolve.admission import GIB, choose_admissions, foresee, order_of
from vllm_forge.run.scheduler.command import parse_command
from vllm_forge.run.scheduler.edge import Edge
from vllm_forge.run.scheduler.learned import KILLED, Costs
from vllm_forge.run.scheduler.memory import read_oom_kills
from vllm_forge.run.scheduler.predict import predict

LOOK_SECONDS: Final = 0.25
LOOK_SELDOM: Final = 1.0
SHARE: Final = 0.05
"""Looking takes this part of the time at most, with many processes; but it is done each second."""

SETTLE_SECONDS: Final = 0.02
SETTLE_MOST: Final = 0.1
"""At the start ninja asks for one compile after another; once it pauses, the longest is known."""

HANGING_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What compiles now; `held` says why those waiting wait."""

    at_work: tuple[AtWork, ...] = ()
    resident_bytes: int = 0
    waiting: int = 0
    held: str = ""


class Floor:
    """`clock` gives seconds since the schedule began; `read_room` looks at the machine.

    `ccache_asks_again`: a launcher runs inside ccache too, so that silence means a hit.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        costs: Costs,
        read_room: Callable[[], Room],
        *,
        ccache_asks_again: bool,
    ) -> None:
        self.compiles: list[CompileRecord] = []
        self.samples: list[MemorySample] = []
        self.notes: deque[str] = deque()
        self.said: list[str] = []
        self.snapshot = Snapshot()
        self.look_again = 0.0
        self._clock = clock
        self._costs = costs
        self._read_room = read_room
        self._ccache_asks_again = ccache_asks_again
        self._room = read_room()
        self.first_room = self._room
        self._oom_kills = read_oom_kills()
        self._waiting: list[Waiting] = []
        self._asking: dict[int, Edge] = {}
        self._running: dict[int, Edge] = {}
        self._slots: set[int] = set()
        self._looked = 0.0
        self._asked_first: float | None = None
        self._asked_last = 0.0
        self._idle_since: float | None = None

    def settled(self, now: float) -> bool:
        """Whether the first questions have come in."""
        if self._asked_first is None:
            return False
        return (
            bool(self.compiles or self._running)
            or now - self._asked_last >= SETTLE_SECONDS
            or now - self._asked_first >= SETTLE_MOST
        )

    def ask(self, edge: Edge, held: str, folder: str, command: Sequence[str]) -> None:
        """A launcher has a compile; `held` is the slot of the launcher it runs inside, or empty."""
        edge.command = parse_command(command)
        edge.predicted = predict(edge.command, self._costs, lambda source: _size(folder, source))
        edge.asked = self._asked_last = self._clock()
        if self._asked_first is None:
            self._asked_first = edge.asked
        edge.outer = self._holder_of(held)
        if edge.outer is not None:  # the cache has missed
            edge.outer.inner, edge.outer.cached = edge, False
            edge.slot = edge.outer.slot
            self._running.pop(edge.outer.number, None)
        said = foresee(edge.waiting(), self._room)
        if said is not None:
            self.note(said)
        self._enqueue(edge)

    def end(self, edge: Edge, code: int, cpu_seconds: float, largest_bytes: int) -> str:
        """A compile has ended; the word for its launcher: done, or again."""
        now = self._clock()
        edge.cpu_seconds = cpu_seconds
        edge.peak_bytes = max(edge.peak_bytes, 0 if edge.inner else largest_bytes)
        if self._room.available_bytes is not None:  # what it held is there again
            available = self._room.available_bytes + edge.resident_bytes
            self._room = replace(self._room, available_bytes=available)
        self._running.pop(edge.number, None)
        sign = None if code == 0 else edge.died_of(code, read_oom_kills())
        if sign is not None and edge.attempt == 1 and edge.inner is None:
            self._try_again(edge, now, sign)
            return "again"
        self._finish(edge, now, code if sign is None else -sign)
        return "done"

    def lose(self, edge: Edge) -> None:
        """A launcher has gone; one that was killed leaves processes and no word."""
        self._dequeue(edge)
        self._running.pop(edge.number, None)
        if edge.started is not None and not edge.done:
            edge.kill()
            self._finish(edge, self._clock(), KILLED)

    def look(self, now: float) -> None:
        """See memory and pressure, and every running compile's processes."""
        for edge in self._running.values():
            edge.look(now, min(now - self._looked, now - (edge.started or now)))
            if not edge.said_hanging and edge.hangs(now, HANGING_SECONDS):
                edge.said_hanging = True
                self.note(
                    f"{edge.command.name} has used no CPU for {HANGING_SECONDS:.0f} s; "
                    f"to end it: kill -- -{edge.group}"
                )
        self._room = self._read_room()
        self._oom_kills = read_oom_kills()
        self.samples.append(
            MemorySample(
                round(now, 3),
                sum(edge.resident_bytes for edge in self._running.values()),
                self._room.available_bytes,
                self._room.pressure,
                len(self._running),
                len(self._waiting),
            )
        )
        self._looked = now
        taken = self._clock() - now
        self.look_again = now + min(LOOK_SELDOM, max(LOOK_SECONDS, taken / SHARE))

    def admit(self, now: float) -> tuple[Edge, ...]:
        """Those that may start now; each has its slot."""
        idle = bool(self._waiting) and not self._running
        self._idle_since = (self._idle_since or now) if idle else None
        verdict = choose_admissions(
            self._waiting,
            [edge.running(now) for edge in self._running.values()],
            replace(self._room, idle_seconds=now - (self._idle_since or now)),
        )
        for number, reason in verdict.reasons.items():
            self._asking[number].held = reason
        admitted = tuple(self._asking[one.number] for one in verdict.admitted)
        for one, edge in zip(verdict.admitted, admitted, strict=True):
            if one.warning is not None:
                self.note(one.warning)
            self._start(edge, now, verdict.held)
        self.snapshot = Snapshot(
            tuple(edge.at_work(now) for edge in self._running.values()),
            sum(edge.resident_bytes for edge in self._running.values()),
            len(self._waiting),
            verdict.held if self._waiting else "",
        )
        return admitted

    def note(self, message: str) -> None:
        """Something for people."""
        self.notes.append(message)
        self.said.append(message)

    def _holder_of(self, slot: str) -> Edge | None:
        if not slot.isdecimal():
            return None
        return next((edge for edge in self._running.values() if edge.slot == int(slot)), None)

    def _enqueue(self, edge: Edge) -> None:
        self._asking[edge.number] = edge
        insort(self._waiting, edge.waiting(), key=order_of)

    def _dequeue(self, edge: Edge) -> None:
        if self._asking.pop(edge.number, None) is not None:
            self._waiting = [one for one in self._waiting if one.number != edge.number]

    def _start(self, edge: Edge, now: float, held: str) -> None:
        self._dequeue(edge)
        if now - edge.asked > LOOK_SECONDS:
            edge.waited_for = edge.held or held
        edge.started = edge.busy_at = now
        edge.oom_kills = self._oom_kills
        if edge.slot is None:
            free = range(len(self._slots) + 1)
            edge.slot = next(slot for slot in free if slot not in self._slots)
            self._slots.add(edge.slot)
        self._running[edge.number] = edge

    def _finish(self, edge: Edge, now: float, code: int) -> None:
        """Keep what became of it; one inside a cache gives its core back to the one outside."""
        edge.done = True
        if edge.outer is None:
            self._slots.discard(-1 if edge.slot is None else edge.slot)
            self._keep(edge, now, code)
        elif not edge.outer.done:
            self._running[edge.outer.number] = edge.outer

    def _try_again(self, edge: Edge, now: float, sign: int) -> None:
        if edge.outer is None:
            self._slots.discard(-1 if edge.slot is None else edge.slot)
            self._keep(edge, now, -sign)
        self.note(
            f"{edge.command.name} died of {signal.Signals(sign).name} at "
            f"{edge.peak_bytes / GIB:.1f} GiB (predicted "
            f"{edge.predicted.peak_bytes / GIB:.1f} GiB, {edge.predicted.because}); "
            "it is tried once more, alone"
        )
        edge.try_again_alone(now)
        self._enqueue(edge)

    def _keep(self, edge: Edge, now: float, code: int) -> None:
        if self._ccache_asks_again and edge.light and edge.inner is None and code == 0:
            edge.cached = True
        self.compiles.append(edge.record(now, code))


def _size(folder: str, source: str) -> int:
    try:
        return Path(folder, source).stat().st_size
    except OSError:
        return 0
