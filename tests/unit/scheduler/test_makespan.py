"""Schedules on a simulated clock against their bound."""

import pytest

from scripts.bench_scheduler import draw_jobs
from vllm_forge.records.schedule import Command, CompileRecord, Prediction, ScheduleRecord
from vllm_forge.resolve.makespan import Job, bound_of, bound_of_jobs, place

GIB = 1 << 30


def job(seconds: float, gibibytes: float) -> Job:
    return Job(seconds, int(gibibytes * GIB), seconds, int(gibibytes * GIB))


def test_every_job_is_placed_and_neither_cores_nor_memory_are_overdrawn() -> None:
    jobs = draw_jobs(60, 7, learned=False)
    placed = place(jobs, cores=8, memory_bytes=20 * GIB)
    assert sorted(one.number for one in placed) == list(range(60))
    for moment in {one.start for one in placed}:
        at_once = [jobs[one.number] for one in placed if one.start <= moment < one.end]
        assert len(at_once) <= 8
        assert sum(one.peak_bytes for one in at_once) <= 20 * GIB


def test_two_cores_by_hand() -> None:
    placed = place([job(1, 1), job(3, 1), job(2, 1)], cores=2, memory_bytes=None)
    assert [(one.number, one.start, one.end) for one in placed] == [
        (1, 0.0, 3.0),
        (2, 0.0, 2.0),
        (0, 2.0, 3.0),
    ]


def test_one_that_cannot_fit_is_placed_last() -> None:
    placed = place([job(1, 9), job(3, 1), job(2, 1)], cores=2, memory_bytes=4 * GIB)
    assert [one.number for one in placed] == [1, 2, 0]
    assert placed[2].start == 3.0


@pytest.mark.parametrize("cores", [16, 32, 64])
@pytest.mark.parametrize("gigabytes_per_core", [2, 4])
def test_four_hundred_measured_jobs_end_close_to_the_bound(
    cores: int, gigabytes_per_core: int
) -> None:
    jobs = draw_jobs(400, 1, learned=True)
    memory = cores * gigabytes_per_core * GIB
    makespan = max(one.end for one in place(jobs, cores=cores, memory_bytes=memory))
    bound = bound_of_jobs(jobs, cores=cores, memory_bytes=memory)
    assert bound.seconds <= makespan <= 1.10 * bound.seconds


def test_a_first_build_predicted_by_the_table_ends_close_too() -> None:
    jobs = draw_jobs(400, 1, learned=False)
    makespan = max(one.end for one in place(jobs, cores=32, memory_bytes=96 * GIB))
    assert makespan <= 1.15 * bound_of_jobs(jobs, cores=32, memory_bytes=96 * GIB).seconds


def compiled(kind: str, started: float, ended: float, **more: float) -> CompileRecord:
    return CompileRecord(
        Command("link" if kind == "link" else "nvcc", "_C", "a.cu", None, ""),
        Prediction(1.0, 1, "guessed", ""),
        slot=0,
        asked=0.0,
        started=started,
        ended=ended,
        cpu_seconds=more.get("cpu", ended - started),
        peak_bytes=1,
        resident_byte_seconds=more.get("held"),
        code=0,
    )


def test_the_bound_of_a_record_is_the_largest_of_three() -> None:
    compiles = (
        compiled("nvcc", 0, 10, held=40.0 * GIB),
        compiled("nvcc", 0, 4, cpu=6.0),
        compiled("link", 10, 11),
    )
    record = ScheduleRecord("", 12.0, 2, 4 * GIB, compiles, ())
    bound = bound_of(record)
    assert (bound.longest_seconds, bound.cores_seconds) == (11.0, 8.5)
    assert bound.memory_seconds == 10.0
    assert (bound.seconds, bound.binding) == (11.0, "the longest file")
    assert bound_of(ScheduleRecord("", 12.0, 2, GIB, compiles, ())).binding == "memory"
    assert bound_of(ScheduleRecord("", 12.0, 1, 64 * GIB, compiles, ())).binding == "cores"
    assert bound_of(ScheduleRecord("", 0.0, 2, None, (), ())).seconds == 0.0
