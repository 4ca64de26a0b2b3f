import io
import random
import tracemalloc
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from vllm_forge.diagnose.explain import explain
from vllm_forge.diagnose.sample import (
    HEAD_LINES,
    LINE_BYTES,
    MIDDLE_LINES,
    TAIL_LINES,
    log_lines,
    sample_lines,
)

KILLED = [
    b"FAILED: CMakeFiles/_C.dir/csrc/cache_kernels.cu.o\n",
    b"nvcc -c csrc/cache_kernels.cu\n",
    b"g++: fatal error: Killed signal terminated program cc1plus\n",
    b"ninja: build stopped: subcommand failed.\n",
]


def quiet(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield b"[%d/%d] Building CUDA object CMakeFiles/_C.dir/csrc/kernel.cu.o\n" % (number, count)


def test_the_numbers_are_those_of_the_file() -> None:
    assert [line.number for line in sample_lines([b"a\n", "b", b"c"])] == [1, 2, 3]


def test_a_failure_in_the_middle_of_a_long_log_is_kept_with_what_follows() -> None:
    lines = [*quiet(50_000), *KILLED, *quiet(50_000)]
    kept = {line.number: line.data for line in sample_lines(lines)}
    assert kept[50_003] == KILLED[2].rstrip()
    assert 50_030 in kept
    assert 30_000 not in kept
    assert explain(lines)[0].code == "oom-kill"


def test_a_flood_of_errors_is_bounded_and_its_first_is_kept() -> None:
    lines = [*quiet(5000), *(b"error: number %d\n" % number for number in range(100_000))]
    kept = sample_lines(lines)
    assert len(kept) <= HEAD_LINES + MIDDLE_LINES + TAIL_LINES
    assert b"error: number 0" in {line.data for line in kept}
    assert kept[-1].data == b"error: number 99999"


def test_a_line_of_ten_megabytes_is_cut_at_its_ends_and_around_its_error() -> None:
    line = b"x" * 5_000_000 + b" error: here " + b"y" * 5_000_000 + b"\n"
    (kept,) = sample_lines([line])
    assert len(kept.data) < LINE_BYTES * 2
    assert b"error: here" in kept.data
    pieces = list(log_lines(io.BytesIO(line + b"next\n")))
    assert pieces[1] == b"next\n"
    assert len(pieces[0]) < 200_000


def test_memory_is_bounded_by_what_is_kept() -> None:
    tracemalloc.start()
    explain(quiet(100_000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 24 << 20


def test_garbage_says_nothing() -> None:
    noise = random.Random(7).randbytes(1 << 20)  # noqa: S311 -- noise, the same each time
    assert explain(log_lines(io.BytesIO(noise))) == ()
    assert explain([]) == ()
    assert explain([b"\0" * 100_000]) == ()
    assert explain(log_lines(io.BytesIO(b"x" * 10_000_000))) == ()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=80),
            st.sampled_from(
                [
                    b"Traceback (most recent call last):",
                    b'  File "a.py", line 1, in f',
                    b"ImportError: x",
                    b"FAILED: a.o",
                    b"CMake Error at a:1 (b):",
                    b"ERROR: x",
                    b"(Worker pid=1) ERROR 01-01 00:00:00 [a.py:1] KeyError: 'x'",
                    b"Killed",
                    b"error: undefined symbol: _ZN",
                    b"/a.so: undefined symbol: _ZN3c1099999999x",
                    b"",
                ]
            ),
        ),
        max_size=30,
    )
)
def test_no_order_of_lines_makes_it_fail(lines: list[bytes]) -> None:
    assert len(explain(lines)) <= 3
