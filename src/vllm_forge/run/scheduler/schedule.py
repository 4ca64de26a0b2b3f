"""A build's scheduler, from its first compile to the record of all of them."""

import os
import resource
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from vllm_forge.probe.cgroup import read_levels, read_number
from vllm_forge.records.codec import render_json
from vllm_forge.records.schedule import CacheUse, MemorySample, Room, ScheduleRecord
from vllm_forge.run.files import write_atomically
from vllm_forge.run.ninja import parse_ninja_log
from vllm_forge.run.scheduler.broker import Broker
from vllm_forge.run.scheduler.floor import Snapshot
from vllm_forge.run.scheduler.learned import Costs, keep_learned, read_learned
from vllm_forge.run.scheduler.memory import read_room

ORDINARY_BYTES: Final = 3 << 30
"""What most CUDA files hold at most: how many fit where nobody watches."""

WIDEST: Final = 512
"""Compiles that ninja lets ask at once; among these the longest is chosen."""

MOST_SAMPLES: Final = 1500


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """`build` is CMake's folder, `costs` and `record` are files, `launcher` is `make_launcher`'s.

    `cores` is how many compiles may run at once at most (--jobs), `memory_bytes` what they may hold
    together (--memory). With `ccache` the launcher is also asked inside it, by CCACHE_PREFIX.
    `read_cache_use` is called once, at the end.
    """

    build: Path
    costs: Path
    record: Path
    launcher: Path
    cores: int
    memory_bytes: int | None = None
    ccache: bool = False
    read_cache_use: Callable[[], CacheUse | None] = lambda: None
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


class Schedule:
    """What a build needs of it: `variables` for ninja's environment and `jobs` for its -j.

    `record` is there when the schedule has ended. `look` and `take_notes` may be called at any
    time, from the thread that works.
    """

    def __init__(
        self, variables: dict[str, str], jobs: int, broker: Broker | None = None, *notes: str
    ) -> None:
        self.variables = variables
        self.jobs = jobs
        self.record: ScheduleRecord | None = None
        self.notes = list(notes)
        self._broker = broker

    def look(self) -> Snapshot:
        """What compiles now, and what waits for what."""
        return Snapshot() if self._broker is None else self._broker.floor.snapshot

    def take_notes(self) -> tuple[str, ...]:
        """What is to be said and was not taken before."""
        taken, self.notes = self.notes, []
        while self._broker is not None and self._broker.floor.notes:
            taken.append(self._broker.floor.notes.popleft())
        return tuple(taken)


@contextmanager
def scheduling(settings: SchedulerSettings) -> Iterator[Schedule]:
    """Run the body's compiles under a broker; afterwards keep its record and what it learned.

    Whatever the broker fails at, the body goes on: with fewer compiles at once, and a note.
    """

    def room() -> Room:
        return read_room(cores=settings.cores, memory_bytes=settings.memory_bytes)

    unwatched = jobs_without_broker(room())
    folder = settings.build / "forge-broker"
    try:
        broker = Broker(
            folder,
            costs=Costs(read_learned(settings.costs)),
            read_room=room,
            ccache_asks_again=settings.ccache,
        )
    except OSError as error:
        said = f"{folder}: {error.strerror}; compiles are not scheduled, {unwatched} run at once"
        yield Schedule({}, unwatched, None, said)
        return
    schedule = Schedule(_variables(settings, folder, unwatched), read_width(settings.cores), broker)
    objects = _objects_of(settings.build)
    began = datetime.now(UTC).isoformat(timespec="milliseconds")
    broker.start()
    try:
        yield schedule
    finally:
        seconds = broker.seconds
        broker.stop()
        unchanged = len(objects & _objects_of(settings.build))
        record = _record(broker, began, seconds, unchanged)
        schedule.record = replace(record, cache=settings.read_cache_use())
        try:
            # Of a build that compiled nothing the last one's stays.
            if schedule.record.compiles or schedule.record.degraded:
                write_atomically(settings.record, render_json(schedule.record, indent=0))
            keep_learned(settings.costs, schedule.record.compiles)
        except OSError as error:
            schedule.notes.append(f"the schedule's record and costs could not be kept: {error}")


def _variables(settings: SchedulerSettings, folder: Path, alone: int) -> dict[str, str]:
    variables = {"VLLM_FORGE_BROKER": str(folder), "VLLM_FORGE_BROKER_JOBS": str(alone)}
    if settings.ccache:
        before = settings.environ.get("CCACHE_PREFIX", "")
        variables["CCACHE_PREFIX"] = f"{settings.launcher} {before}".strip()
    return variables


def _record(broker: Broker, began: str, seconds: float, unchanged: int) -> ScheduleRecord:
    floor = broker.floor
    room = floor.first_room
    sizes = [one for one in (room.available_bytes, room.ceiling_bytes) if one is not None]
    return ScheduleRecord(
        started=began,
        seconds=round(seconds, 3),
        cores=room.cores,
        memory_bytes=min(sizes, default=None),
        compiles=tuple(floor.compiles),
        samples=thin(floor.samples),
        notes=tuple(floor.said),
        unchanged=unchanged,
        degraded=broker.degraded,
    )


def thin(samples: Sequence[MemorySample], most: int = MOST_SAMPLES) -> tuple[MemorySample, ...]:
    """A long build's memory curve in few points: of neighbours, the one with most memory."""
    step = max(1, -(-len(samples) // most))
    return tuple(
        max(samples[start : start + step], key=lambda one: one.resident_bytes)
        for start in range(0, len(samples), step)
    )


def jobs_without_broker(room: Room) -> int:
    """How many compiles at once are safe when nobody shares out memory.

    >>> [jobs_without_broker(Room(8, None, gib << 30)) for gib in (2, 9, 64)]
    [1, 3, 8]
    """
    if room.ceiling_bytes is None:
        return room.cores
    return max(1, min(room.cores, room.ceiling_bytes // ORDINARY_BYTES))


def choose_width(cores: int, *, files: int | None, processes: int | None) -> int:
    """How many compiles ninja may have asking and running: its -j.

    ninja holds a pipe for each and we a socket (half of `files` is left alone), and each is a
    process or four.

    >>> choose_width(16, files=1024, processes=None), choose_width(64, files=256, processes=None)
    (480, 128)
    >>> choose_width(4, files=None, processes=100)
    25
    """
    width = WIDEST
    if files is not None:
        width = min(width, (files - 64) // 2)
    if processes is not None:
        width = min(width, processes // 4)
    return max(2 * cores, width)


def read_width(cores: int) -> int:
    """`choose_width` for this process's limits."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    left = []
    for level in read_levels("pids"):
        most = read_number(level.folder / "pids.max")
        now = read_number(level.folder / "pids.current")
        if most is not None:
            left.append(most - (now or 0))
    return choose_width(
        cores,
        files=None if soft == resource.RLIM_INFINITY else soft,
        processes=min(left, default=None),
    )


def _objects_of(build: Path) -> frozenset[tuple[str, int]]:
    """Objects that ninja knows and that are there, with the time they were written."""
    found = set()
    try:
        entries = parse_ninja_log((build / ".ninja_log").read_text(errors="replace"))
    except OSError:
        return frozenset()
    for entry in entries:
        if entry.output.endswith(".o"):
            with suppress(OSError):
                found.add((entry.output, (build / entry.output).stat().st_mtime_ns))
    return frozenset(found)
