"""How long a schedule takes: foretold on a simulated clock, and what no schedule can go below."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vllm_forge.records.schedule import Bound, Room, Running, ScheduleRecord, Waiting
from vllm_forge.resolve.admission import choose_admissions, order_of


@dataclass(frozen=True, slots=True)
class Job:
    """A compile to be placed: what it really takes, and what is predicted of it."""

    seconds: float
    peak_bytes: int
    predicted_seconds: float
    predicted_bytes: int
    cores: int = 1


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a job went, in seconds from the start; `number` is its place in the given order."""

    number: int
    start: float
    end: float


def place(jobs: Sequence[Job], *, cores: int, memory_bytes: int | None) -> tuple[Placed, ...]:
    """The schedule that `choose_admissions` makes of jobs that all wait from the start.

    A job holds its peak from its first moment to its last.
    """
    asking = (
        Waiting(number, str(number), job.predicted_seconds, job.predicted_bytes, cores=job.cores)
        for number, job in enumerate(jobs)
    )
    waiting = {one.number: one for one in sorted(asking, key=order_of)}
    running: list[tuple[float, int, Running]] = []
    placed: list[Placed] = []
    now = 0.0
    while waiting or running:
        held = sum(jobs[number].peak_bytes for _, number, _ in running)
        room = Room(
            cores,
            None if memory_bytes is None else memory_bytes - held,
            memory_bytes,
            idle_seconds=float("inf"),  # nobody else is on this machine
        )
        at_work = [
            replace(one, left_seconds=max(0.0, one.left_seconds - now)) for _, _, one in running
        ]
        for admitted in choose_admissions(tuple(waiting.values()), at_work, room).admitted:
            one = waiting.pop(admitted.number)
            job = jobs[one.number]
            end = now + one.seconds
            due = Running(one.number, one.name, job.cores, one.peak_bytes, job.peak_bytes, end)
            heapq.heappush(running, (now + job.seconds, one.number, due))
            placed.append(Placed(one.number, now, now + job.seconds))
        now, *_ = heapq.heappop(running)
    return tuple(placed)


def bound_of_jobs(jobs: Sequence[Job], *, cores: int, memory_bytes: int | None) -> Bound:
    """Below this no order of the jobs can end."""
    held = sum(job.seconds * job.peak_bytes for job in jobs)
    return Bound(
        longest_seconds=max((job.seconds for job in jobs), default=0.0),
        cores_seconds=sum(job.seconds * job.cores for job in jobs) / max(1, cores),
        memory_seconds=held / memory_bytes if memory_bytes else None,
    )


def bound_of(record: ScheduleRecord) -> Bound:
    """max(longest file + link, ΣCPU/cores, Σ(memory·time)/memory) of what was really done.

    Memory over time is the integral of what was seen, so that no better packing could go below it;
    peaks held from start to end would flatter us. It is None where nothing was seen.
    """
    links = [one.seconds for one in record.compiles if one.command.kind == "link"]
    objects = [one.seconds for one in record.compiles if one.command.kind != "link"]
    seen = [
        one.resident_byte_seconds
        for one in record.compiles
        if one.resident_byte_seconds is not None
    ]
    return Bound(
        longest_seconds=max(objects, default=0.0) + max(links, default=0.0),
        cores_seconds=sum(one.cpu_seconds for one in record.compiles) / max(1, record.cores),
        memory_seconds=sum(seen) / record.memory_bytes if seen and record.memory_bytes else None,
    )


def peak_of(record: ScheduleRecord) -> int:
    """The most all compiles held together, as sampled; a single one's own peak may be above it."""
    together = max((one.resident_bytes for one in record.samples), default=0)
    return max(together, max((one.peak_bytes for one in record.compiles), default=0))
