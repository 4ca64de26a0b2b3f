"""When several architectures are worth several threads."""

import pytest

from vllm_forge.resolve.makespan import Job
from vllm_forge.resolve.nvcc_threads import choose_nvcc_threads

GIB = 1 << 30
FILE = Job(100.0, 3 * GIB, 100.0, 3 * GIB)
LONG = Job(700.0, 8 * GIB, 700.0, 8 * GIB)


def choose(
    files: list[Job], architectures: int, cores: int, gibibytes: int | None = None
) -> tuple[int, str]:
    memory = None if gibibytes is None else gibibytes * GIB
    one = choose_nvcc_threads(files, architectures=architectures, cores=cores, memory_bytes=memory)
    return one.value, one.because[0].fact


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
