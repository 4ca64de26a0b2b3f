"""The report in a real browser, offline: small, and as large as a CUDA build."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.browser import Browser, bars, needs_browser, rows
from vllm_forge.records.outcome import LastBuild, Outcome
from vllm_forge.records.plan import PlannedTarget
from vllm_forge.records.schedule import (
    Command,
    CompileRecord,
    MemorySample,
    Prediction,
    ScheduleRecord,
)
from vllm_forge.resolve.makespan import Job, place
from vllm_forge.show.report import Story, render_report

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = [pytest.mark.slow, needs_browser]

GIB = 1 << 30


def compiled(number: int) -> CompileRecord:
    start = float(number // 3)
    return CompileRecord(
        Command("nvcc", "_C" if number % 2 else "_moe_C", f"csrc/f{number}.cu", None, "-O2"),
        Prediction(1.0, 1 << 30, "learned", "compiled here before"),
        *(number % 3, 0.0, start, start + 1.0, 0.9, 1 << 30, None),
        1 if number == 4 else 0,
        cached=number == 5,
        waited_for="all 3 cores are taken" if start else None,
    )


RECORD = ScheduleRecord(
    "2026-11-23T20:00:00+00:00",
    4.0,
    3,
    8 << 30,
    tuple(compiled(number) for number in range(12)),
    tuple(MemorySample(at / 4, 3 << 30, None, 0.0, 3, 0) for at in range(16)),
    notes=("a note with </script> in it",),
)
LAST = LastBuild(
    "2026-11-23T21:00:00+00:00",
    0.5,
    (
        Outcome("configure", "configure with CMake", "kept", "unchanged since it was done"),
        Outcome("compile", "compile _C", "failed", "the compile failed", 0.5),
    ),
    (
        PlannedTarget("_C", build=True, because="every device asks for it", files=9),
        PlannedTarget("x", build=False, because="9.x"),
    ),
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    return Browser(tmp_path_factory.mktemp("profile"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_report(Story("a build", RECORD, (), LAST)))
    return path


def test_every_compile_is_drawn_and_listed(page: Path, browser: Browser) -> None:
    shown = browser.dom(page)
    drawn = bars(shown)
    assert len(drawn) == 12
    assert len({one["y"] for one in drawn}) == 3
    assert len(rows(shown)) == 12
    assert "<polyline" in shown
    assert "a note with &lt;/script&gt; in it" in shown
    assert re.search(r"these compiles, in a build before it, began [^<]+<", shown)


def test_what_was_left_alone_says_why(page: Path, browser: Browser) -> None:
    shown = browser.dom(page)
    assert [row[:3] for row in rows(shown, "steps")] == [
        ["configure", "kept", "unchanged since it was done"],
        ["compile", "failed", "the compile failed"],
    ]
    assert rows(shown, "targets") == [
        ["_C", "built", "9", "every device asks for it"],
        ["x", "left out", "", "9.x"],
    ]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [("failed", {4}), ("cached", {5}), ("_moe_c%20f1", {10}), ("no-such-file", set())],
)
def test_the_filter_keeps_what_it_names(
    page: Path, browser: Browser, wanted: str, names: set[int]
) -> None:
    shown = browser.dom(page, wanted)
    listed = {int(re.sub(r"\D", "", row[0].rpartition("/")[2])) for row in rows(shown)}
    assert listed == names
    assert sum("faded" in one["class"] for one in bars(shown)) == 12 - len(names)


def large(cores: int) -> ScheduleRecord:
    """425 compiles, one of them long, as the scheduler would place them."""
    jobs = [Job(50.0 + number % 97, 3 * GIB, 50.0 + number % 97, 3 * GIB) for number in range(425)]
    jobs[7] = Job(697.0, 7 * GIB, 697.0, 7 * GIB)
    free = [0.0] * cores
    compiles = []
    for placed in sorted(
        place(jobs, cores=cores, memory_bytes=None), key=lambda placed: placed.start
    ):
        slot = next(slot for slot, until in enumerate(free) if until <= placed.start)
        free[slot] = placed.end
        command = Command("nvcc", f"target{placed.number % 11}", f"f{placed.number}.cu", None, "")
        compiles.append(
            CompileRecord(
                command,
                Prediction(60.0, 3 * GIB, "measured", "a table"),
                *(slot, 0.0, placed.start, placed.end, 60.0, 3 * GIB, None, 0),
            )
        )
    end = max(free)
    samples = tuple(MemorySample(end * at / 1500, GIB, None, 0.0, 2, 0) for at in range(1500))
    return ScheduleRecord(RECORD.started, end, cores, 64 * GIB, tuple(compiles), samples)


@pytest.mark.parametrize(("cores", "width"), [(2, 500), (2, 1400), (16, 900), (64, 1400)])
def test_a_large_build_stays_within_its_frame(
    tmp_path: Path, browser: Browser, cores: int, width: int
) -> None:
    path = tmp_path / "large.html"
    path.write_text(render_report(Story("a large build", large(cores), (), None)))
    shown = browser.dom(path, width=width)
    drawn = bars(shown)
    assert len(drawn) == len(rows(shown)) == 425
    frame = re.search(r'<svg viewBox="0 0 ([\d.]+) ([\d.]+)"', shown)
    assert frame is not None
    wide, tall = float(frame[1]), float(frame[2])
    assert width - 120 < wide <= width
    assert all(float(one["x"]) + float(one["width"]) <= wide for one in drawn)
    assert all(float(one["y"]) + float(one["height"]) < tall for one in drawn)
    assert not overlapping(drawn)
    labels = re.findall(r'<text class="inside"[^>]*>([^<]*)<', shown)
    assert "f7.cu" in labels or cores == 2


def overlapping(drawn: "Sequence[dict[str, str]]") -> list[tuple[float, float]]:
    """Bars of one lane that cover more than a pixel of each other."""
    lanes: dict[str, list[tuple[float, float]]] = {}
    for one in drawn:
        lanes.setdefault(one["y"], []).append((float(one["x"]), float(one["width"])))
    return [
        (left, after)
        for lane in lanes.values()
        for (left, wide), (after, _) in zip(sorted(lane), sorted(lane)[1:], strict=False)
        if left + wide > after + 1.01
    ]


def test_a_build_that_compiled_nothing_has_a_page_too(tmp_path: Path, browser: Browser) -> None:
    path = tmp_path / "nothing.html"
    path.write_text(render_report(Story("a build", None, (), LAST)))
    shown = browser.dom(path)
    assert "Nothing was compiled." in shown
    assert len(rows(shown, "steps")) == 2
    assert bars(shown) == []
