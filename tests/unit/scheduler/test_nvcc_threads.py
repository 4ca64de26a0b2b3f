"""When several architectures are worth several threads."""

import pytest

from vllm_forge.records.plan import PlannedTarget
from vllm_forge.records.schedule import Measured
from vllm_forge.resolve.foreseen import ORDINARY, foresee_files
from vllm_forge.resolve.makespan import Job
from vllm_forge.resolve.nvcc_threads import choose_nvcc_threads

GIB = 1 << 30
FILE = Job(100.0, 3 * GIB, 100.0, 3 * GIB)
LONG = Job(700.0, 8 * GIB, 700.0, 8 * GIB)


def choose(
    files: list[Job],
    architectures: int,
    cores: int,
    gibibytes: int | None = None,
    jobs: int | None = None,
) -> tuple[int, str]:
    memory = None if gibibytes is None else gibibytes * GIB
    one = choose_nvcc_threads(
        files, architectures=architectures, cores=cores, memory_bytes=memory, jobs=jobs
    )
    return one.value, one.because[-1].fact


def test_one_architecture_has_nothing_to_share_out() -> None:
    assert choose([FILE], 1, 64) == (1, "one architecture: nothing to share out")


def test_many_files_keep_the_cores_busy_without_threads() -> None:
    threads, because = choose([FILE] * 200, 3, 8)
    assert threads == 1
    assert "1: 2500 s" in because


@pytest.mark.parametrize(("architectures", "expected"), [(2, 2), (4, 4)])
def test_few_files_on_many_cores_gain(architectures: int, expected: int) -> None:
    assert choose([FILE] * 3, architectures, 32)[0] == expected


def test_one_long_file_that_all_wait_for_gains() -> None:
    assert choose([LONG, *[FILE] * 20], 4, 32)[0] == 4


def test_not_where_the_memory_for_it_is_missing() -> None:
    assert choose([FILE] * 8, 4, 32, gibibytes=12)[0] == 1


def test_no_more_threads_than_jobs() -> None:
    assert choose([FILE] * 3, 4, 32, jobs=2) == (2, "--jobs 2")
    assert choose([FILE] * 3, 4, 32, jobs=8)[0] == 4


def row(file: str, seconds: tuple[float, float], files: int, flags: str = "*") -> Measured:
    return Measured("nvcc", "_C", file, seconds, (GIB, 2 * GIB), files, "measured", flags)


COSTS = (
    row("heavy.cu", (700.0, 700.0), 1),
    row("only-for-8.x", (1.0, 1.0), 1, "*8[0-9]"),
    row("*", (60.0, 140.0), 4),
)


@pytest.mark.parametrize(
    ("files", "architectures", "seconds"),
    [
        (1, ("9.0",), [700.0]),
        (5, ("9.0",), [700.0, 70.0, 90.0, 110.0, 130.0]),
        (7, ("9.0",), [700.0, 70.0, 90.0, 110.0, 130.0, 100.0, 100.0]),
        (3, ("8.9",), [700.0, 1.0, 100.0]),
        (2, ("8.9", "9.0"), [1050.0, 150.0]),
        (None, ("9.0",), []),
    ],
)
def test_files_are_taken_to_cost_what_measured_ones_did(
    files: int | None, architectures: tuple[str, ...], seconds: list[float]
) -> None:
    targets = (
        PlannedTarget("_C", build=True, because="", files=files),
        PlannedTarget("_left_out_C", build=False, because="", files=9),
    )
    foreseen = foresee_files(targets, COSTS, architectures)
    assert [job.seconds for job in foreseen] == seconds
    assert {job.peak_bytes for job in foreseen} <= {2 * GIB}


def test_a_target_that_nobody_measured_costs_the_ordinary() -> None:
    [one] = foresee_files((PlannedTarget("x", build=True, because="", files=1),), COSTS, ("9.0",))
    assert (one.seconds, one.peak_bytes) == ORDINARY
