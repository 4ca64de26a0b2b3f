"""The report in a real browser, offline."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vllm_forge.records.schedule import (
    Command,
    CompileRecord,
    MemorySample,
    Prediction,
    ScheduleRecord,
)
from vllm_forge.show.report import render_report

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--enable-logging=stderr"
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]


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


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render_report(RECORD, (), title="a build"))
    return path


def dom(page: Path, profile: Path, wanted: str = "") -> str:
    """The document after its script has run; `wanted` is what stands in the filter."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *QUIET.split(), f"--user-data-dir={profile}", "--dump-dom"]
    done = subprocess.run(
        [*command, f"{page.as_uri()}{wanted and f'#{wanted}'}"],
        capture_output=True,
        check=True,
        text=True,
        timeout=120,
    )
    assert "CONSOLE" not in done.stderr, "the page complains"
    return done.stdout


def rows(shown: str) -> list[str]:
    table = shown.partition('<table id="table">')[2].partition("</table>")[0]
    return re.findall(r"<tr><td[^>]*>([^<]*)<", table)


def test_every_compile_is_drawn_and_listed(page: Path, tmp_path: Path) -> None:
    shown = dom(page, tmp_path)
    assert len(re.findall(r'<rect class="one"', shown)) == 12
    assert len(set(re.findall(r'<rect class="one" x="[^"]*" y="([^"]*)"', shown))) == 3
    assert len(rows(shown)) == 12
    assert "<polyline" in shown
    assert "a note with &lt;/script&gt; in it" in shown


@pytest.mark.parametrize(
    ("wanted", "names"),
    [("failed", {4}), ("cached", {5}), ("_moe_c%20f1", {10}), ("no-such-file", set())],
)
def test_the_filter_keeps_what_it_names(
    page: Path, tmp_path: Path, wanted: str, names: set[int]
) -> None:
    shown = dom(page, tmp_path, wanted)
    assert {int(re.sub(r"\D", "", name.rpartition("/")[2])) for name in rows(shown)} == names
    assert len(re.findall(r'<rect class="one faded"', shown)) == 12 - len(names)
