"""Which waiting compile may start now.

Longest first, into free cores and into memory that is really left. Where memory is the scarcer of
the two, the longest that does not fit has the memory it waits for kept free; else short thin ones
would slip past it again and again, and it would be compiled last, alone. Measured against the bound
by `scripts/bench_scheduler.py`.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Final

from vllm_forge.records.schedule import Admitted, Room, Running, Verdict, Waiting

GIB: Final = 1 << 30

PRESSED: Final = 10.0
"""PSI's `some avg10` in percent from which new work waits: a tenth of the time something stalls."""

PATIENCE: Final = 20.0
"""Seconds that others on this machine get to give memory back before we start all the same."""

SCARCE: Final = 1.2
"""Memory is scarcer than cores when it alone would take this much longer. Keeping memory free
costs cores; below this it lost in simulation."""


def order_of(one: Waiting) -> tuple[bool, bool, float, int, int]:
    """Sort key: what runs alone, what holds a core already, the longest, the largest, the first."""
    return (not one.alone, one.cores > 0, -one.seconds, -one.peak_bytes, one.number)


def choose_admissions(
    waiting: Sequence[Waiting], running: Sequence[Running], room: Room
) -> Verdict:
    """Who starts now, and why the others do not. Something always runs in the end.

    `waiting` stands in the order of `order_of`: whoever asks often keeps it sorted. Nothing is
    admitted beside a compile that runs alone. Pressure and unknown memory hold nothing back while
    nothing runs.
    """
    held = _holds_all(waiting, running, room)
    if held is not None:
        return Verdict((), {}, held)
    if waiting[0].alone:
        return Verdict((Admitted(waiting[0].number),), {}, f"{waiting[0].name} runs alone")
    return _Sharing(waiting, running, room).share()


def foresee(one: Waiting, room: Room) -> str | None:
    """What to say of a compile that cannot fit even alone; None for one that can.

    >>> foresee(Waiting(1, "_C/big.cu", 697.0, 8 * GIB), Room(8, None, 6 * GIB))
    '_C/big.cu needs about 8.0 GiB and there are 6.0 GiB at most; it will run last, alone'
    """
    if room.ceiling_bytes is None or one.peak_bytes <= room.ceiling_bytes:
        return None
    return (
        f"{one.name} needs about {one.peak_bytes / GIB:.1f} GiB and there are "
        f"{room.ceiling_bytes / GIB:.1f} GiB at most; it will run last, alone"
    )


def memory_left(running: Sequence[Running], room: Room) -> int | None:
    """Bytes that may be promised: what can be had, less what running ones have still to take."""
    left = []
    if room.available_bytes is not None:
        growth = sum(max(0, one.peak_bytes - one.resident_bytes) for one in running)
        left.append(room.available_bytes - growth)
    if room.ceiling_bytes is not None:
        taken = sum(max(one.peak_bytes, one.resident_bytes) for one in running)
        left.append(room.ceiling_bytes - taken)
    return min(left, default=None)


def _holds_all(waiting: Sequence[Waiting], running: Sequence[Running], room: Room) -> str | None:
    if not waiting:
        return "nothing waits"
    alone = [one.name for one in running if one.alone]
    if running and waiting[0].alone:
        alone.append(waiting[0].name)
    if alone:
        return f"{alone[0]} was killed and is compiled alone"
    if running and room.pressure >= PRESSED:
        return f"memory pressure: {room.pressure:.0f} % of the last 10 s were stalled"
    return None


class _Sharing:
    """One pass over the waiting, longest first; what is promised on the way is taken off."""

    def __init__(self, waiting: Sequence[Waiting], running: Sequence[Running], room: Room) -> None:
        self._waiting = waiting
        self._running = list(running)
        self._room = room
        inside = sum(1 for _ in takewhile(lambda one: one.cores == 0, waiting))
        self._cores = room.cores - sum(one.cores for one in running) - inside
        self._memory = memory_left(running, room)
        self._kept: tuple[float, int] | None = None
        """Seconds until memory is due for one that waits for it, and what is then left over."""

    def share(self) -> Verdict:
        admitted: list[Admitted] = []
        reasons: dict[int, str] = {}
        for one in self._waiting:
            if one.cores and self._cores <= 0:
                break
            reason = self._why_no_core(one) or self._why_no_memory(one)
            if reason is None:
                self._take(one)
                admitted.append(Admitted(one.number))
            else:
                reasons[one.number] = reason
        if not admitted and not self._running:
            admitted = self._start_something(reasons)
        return Verdict(tuple(admitted), reasons, self._held(reasons))

    def _why_no_core(self, one: Waiting) -> str | None:
        """A compile with threads takes several; more than there are at all mean all."""
        wanted = min(one.cores, self._room.cores)
        if wanted <= max(1, self._cores):
            return None
        return f"needs {wanted} cores, {self._cores} free"

    def _why_no_memory(self, one: Waiting) -> str | None:
        if self._memory is None:
            return None
        if one.peak_bytes > self._memory:
            self._keep_memory_for(one)
            return (
                f"needs {one.peak_bytes / GIB:.1f} GiB, {max(0, self._memory) / GIB:.1f} GiB left"
            )
        if self._kept is not None and one.seconds > self._kept[0]:
            if one.peak_bytes > self._kept[1]:
                return "memory is kept for a longer one"
            self._kept = (self._kept[0], self._kept[1] - one.peak_bytes)
        return None

    def _keep_memory_for(self, one: Waiting) -> None:
        """Once in a pass, for the first that does not fit, where memory is the scarcer thing."""
        ceiling = self._room.ceiling_bytes
        fits = ceiling is None or one.peak_bytes <= ceiling
        if self._kept is not None or not fits or not self._memory_is_scarcer():
            return
        due = self._memory or 0
        for other in sorted(self._running, key=lambda running: running.left_seconds):
            due += max(other.peak_bytes, other.resident_bytes)
            if due >= one.peak_bytes:
                self._kept = (other.left_seconds, due - one.peak_bytes)
                return

    def _memory_is_scarcer(self) -> bool:
        memory = self._room.ceiling_bytes or self._room.available_bytes
        if not memory:
            return False
        of_memory = sum(one.seconds * one.peak_bytes for one in self._waiting) / memory
        of_cores = sum(one.seconds for one in self._waiting) / max(1, self._room.cores)
        return of_memory > SCARCE * of_cores

    def _take(self, one: Waiting) -> None:
        self._cores -= one.cores
        if self._memory is not None:
            self._memory -= one.peak_bytes
        self._running.append(
            Running(one.number, one.name, one.cores, one.peak_bytes, 0, one.seconds)
        )

    def _start_something(self, reasons: dict[int, str]) -> list[Admitted]:
        """Nothing runs and nothing fits: one that never will starts, or one that waited enough."""
        ceiling = self._room.ceiling_bytes
        startable = [one for one in self._waiting if one.cores == 0 or self._cores > 0]
        if ceiling is not None and all(one.peak_bytes > ceiling for one in startable):
            return [Admitted(one.number) for one in startable[:1]]
        if self._room.idle_seconds < PATIENCE:
            return []
        least = min(startable, key=lambda one: one.peak_bytes)
        reason = reasons.get(least.number, "no core is free")
        return [
            Admitted(
                least.number,
                f"{least.name} starts although others on this machine leave it too little memory "
                f"({reason})",
            )
        ]

    def _held(self, reasons: dict[int, str]) -> str:
        """Of several, the longest one's; empty where nothing is held."""
        if self._cores <= 0:
            cores = self._room.cores
            return "the core is taken" if cores == 1 else f"all {cores} cores are taken"
        return next(
            (f"{one.name} {reasons[one.number]}" for one in self._waiting if one.number in reasons),
            "",
        )
