"""Learned, measured, guessed: in this order."""

from dataclasses import replace
from pathlib import Path

import pytest

from vllm_forge.records.schedule import Command, CompileRecord, Prediction
from vllm_forge.run.scheduler.learned import (
    KILLED,
    MOST,
    Costs,
    Learned,
    keep_learned,
    key_of,
    read_learned,
)
from vllm_forge.run.scheduler.predict import MARGIN, MARGIN_AFTER, predict, read_table

GIB = 1 << 30
FILE = Command("nvcc", "_C", "csrc/x/scaled_mm_c2x.cu", None, "-O2 89", torch=True)
NOTHING = Costs({})


def no_size(_source: str) -> int:
    return 0


def test_what_was_learned_comes_first() -> None:
    costs = Costs({key_of(FILE): Learned(10.0, GIB)})
    one = predict(FILE, costs, no_size)
    assert (one.seconds, one.peak_bytes) == (10.0, int(GIB * MARGIN))
    assert (one.origin, one.because) == ("learned", "compiled here before")


def test_learned_under_other_flags_is_scaled_by_passes_and_threads() -> None:
    costs = Costs({key_of(FILE): Learned(10.0, GIB, architectures=1)})
    two = predict(replace(FILE, flags="-O2 80,89", architectures=2), costs, no_size)
    assert two.seconds == 15.0  # the host's pass counts as one
    assert two.peak_bytes == int(GIB * MARGIN)
    beside = predict(replace(FILE, flags="-", architectures=2, threads=4), costs, no_size)
    assert beside.seconds == 10.0  # both passes at once, after the host's
    assert beside.peak_bytes == 2 * int(GIB * MARGIN)


def test_what_is_held_after_the_peak_is_known_for_the_same_passes_alone() -> None:
    costs = Costs({key_of(FILE): Learned(10.0, GIB, after_peak_bytes=GIB // 2)})
    assert predict(FILE, costs, no_size).after_peak_bytes == int(GIB // 2 * MARGIN_AFTER)
    two = replace(FILE, architectures=2)
    assert predict(two, costs, no_size).after_peak_bytes is None
    assert predict(two, NOTHING, no_size).after_peak_bytes is None
    assert (predict(FILE, NOTHING, no_size).after_peak_bytes or 0) > GIB
    assert predict(replace(FILE, target="?"), NOTHING, no_size).after_peak_bytes is None


def test_the_shipped_table_knows_the_heavy_file_by_name() -> None:
    one = predict(FILE, NOTHING, no_size)
    assert (one.seconds, one.peak_bytes, one.origin) == (697.0, 7_930_000_000, "measured")
    assert "nvcc 12.4.131" in one.because
    ordinary = predict(replace(FILE, file="csrc/cache_kernels.cu"), NOTHING, no_size)
    assert (ordinary.seconds, ordinary.peak_bytes) == (105.0, 2_940_000_000)


def test_empty_kernels_below_nine_are_not_those_of_nine() -> None:
    stub = Command("nvcc", "_vllm_fa3_C", "hopper/instantiations/a_sm90.cu", None, "-O3 89")
    assert predict(stub, NOTHING, no_size).origin == "measured"
    assert predict(replace(stub, flags="-O3 90a"), NOTHING, no_size).origin == "guessed"


def test_every_row_of_the_table_is_sane() -> None:
    rows = read_table()
    assert len(rows) >= 9
    for row in rows:
        assert 0 < row.cpu_seconds[0] <= row.cpu_seconds[1] < 3600
        assert 100 << 20 < row.peak_bytes[0] <= row.peak_bytes[1] < 64 * GIB
        assert row.files > 0
        assert row.source


@pytest.mark.parametrize(
    ("less", "more"),
    [
        (
            Command("c++", "x", "a.cpp", None, ""),
            Command("c++", "x", "a.cpp", None, "", torch=True),
        ),
        (
            Command("nvcc", "x", "a.cu", None, "", torch=True),
            Command("nvcc", "x", "cutlass/gemm.cu", None, "", torch=True),
        ),
        (Command("c", "x", "a.c", None, ""), Command("c++", "x", "a.cpp", None, "")),
        (Command("link", "x", "link", None, ""), Command("nvcc", "x", "a.cu", None, "")),
    ],
)
def test_guesses_are_ordered(less: Command, more: Command) -> None:
    small, large = predict(less, NOTHING, no_size), predict(more, NOTHING, no_size)
    assert small.origin == large.origin == "guessed"
    assert small.peak_bytes < large.peak_bytes
    assert small.seconds < large.seconds


def test_a_larger_source_is_taken_to_be_longer() -> None:
    unknown = Command("c++", "x", "a.cpp", "/a.cpp", "", torch=True)
    small = predict(unknown, NOTHING, lambda _: 1024)
    assert predict(unknown, NOTHING, lambda _: 102_400).seconds > small.seconds


def compiled(peak: int, **changes: object) -> CompileRecord:
    one = CompileRecord(
        FILE, Prediction(100.0, GIB, "guessed", ""), 0, 0.0, 0.0, 9.0, 8.0, peak, None, 0
    )
    return replace(one, **changes)  # type: ignore[arg-type]


def learn(path: Path, *compiles: CompileRecord) -> dict[str, Learned]:
    keep_learned(path, compiles)
    return read_learned(path)


def test_a_peak_grows_at_once_and_shrinks_halfway(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    assert learn(path, compiled(2 * GIB))[key_of(FILE)] == Learned(8.0, 2 * GIB)
    assert learn(path, compiled(4 * GIB))[key_of(FILE)].peak_bytes == 4 * GIB
    assert learn(path, compiled(2 * GIB))[key_of(FILE)].peak_bytes == 3 * GIB


def test_the_most_after_a_peak_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"

    def after(**changes: object) -> int | None:
        return learn(path, compiled(4 * GIB, **changes))[key_of(FILE)].after_peak_bytes

    assert after(after_peak_bytes=2 * GIB) == 2 * GIB
    assert after(after_peak_bytes=GIB) == 2 * GIB
    assert after() is None, "it was not seen to fall"
    assert after(after_peak_bytes=GIB, code=KILLED) is None


def test_what_was_killed_is_taken_to_need_more(tmp_path: Path) -> None:
    one = learn(tmp_path / "costs.json", compiled(2 * GIB, code=KILLED))[key_of(FILE)]
    assert (one.peak_bytes, one.cpu_seconds) == (int(2.5 * GIB), 100.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"code": 1},
        {"cached": True},
        {"command": replace(FILE, cache="sccache")},
        {"command": replace(FILE, kind="other")},
        {"command": replace(FILE, cache="ccache"), "cpu_seconds": 0.2},
    ],
    ids=["failed", "a hit", "sccache", "no compiler", "looks like a hit"],
)
def test_what_teaches_nothing(tmp_path: Path, changes: dict[str, object]) -> None:
    assert learn(tmp_path / "costs.json", compiled(GIB, **changes)) == {}


def test_a_damaged_file_is_as_good_as_none(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    path.write_text("{half")
    assert read_learned(path) == {}
    assert len(learn(path, compiled(GIB))) == 1


def test_the_oldest_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    many = (
        compiled(GIB, command=replace(FILE, file=f"{number}.cu")) for number in range(MOST + 10)
    )
    known = learn(path, *many)
    assert len(known) == MOST
    assert "_C/9.cu|nvcc -O2 89" not in known
    assert f"_C/{MOST + 9}.cu|nvcc -O2 89" in known
