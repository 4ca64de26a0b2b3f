"""The page, the trace and the lines, from a record."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from vllm_forge.cli.common import Common
from vllm_forge.cli.report import report
from vllm_forge.records.codec import render_json
from vllm_forge.records.outcome import LastBuild, Outcome
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.receipt import Receipt
from vllm_forge.records.schedule import (
    Command,
    CompileRecord,
    MemorySample,
    Prediction,
    ScheduleRecord,
)
from vllm_forge.show.report import Story, render_report
from vllm_forge.show.schedule import render_summary
from vllm_forge.show.trace import render_trace

GIB = 1 << 30
MARKUP = "</script><img src=x onerror=alert(1)>"


def compiled(file: str, slot: int, started: float, ended: float, **more: object) -> CompileRecord:
    one = CompileRecord(
        command=Command("link" if file == "link" else "nvcc", "_C", file, None, "-O2 89"),
        predicted=Prediction(9.0, 3 * GIB, "measured", "a table"),
        slot=slot,
        asked=0.0,
        started=started,
        ended=ended,
        cpu_seconds=ended - started,
        peak_bytes=2 * GIB,
        resident_byte_seconds=GIB * (ended - started),
        code=0,
    )
    return replace(one, **more)  # type: ignore[arg-type]


RECORD = ScheduleRecord(
    started="2026-11-23T20:00:00.000+00:00",
    seconds=42.0,
    cores=2,
    memory_bytes=8 * GIB,
    compiles=(
        compiled("csrc/long.cu", 0, 0.0, 30.0),
        compiled("csrc/short.cu", 1, 0.0, 10.0, waited_for="memory"),
        compiled(f"csrc/{MARKUP}.cu", 1, 10.0, 10.5, cached=True, cpu_seconds=0.1),
        compiled("csrc/bad.cu", 1, 11.0, 31.0, code=-9, attempt=2),
        compiled("link", 0, 40.0, 42.0),
    ),
    samples=(MemorySample(0.0, GIB, 7 * GIB, 0.0, 2, 1), MemorySample(9.0, 4 * GIB, 1, 0.0, 2, 1)),
    unchanged=7,
    notes=("said on the way",),
)
RECEIPTS = (
    Receipt("configure", "f", (), 3.0, "2026-11-23T19:00:00+00:00"),
    Receipt("compile", "f", (), 42.0, "2026-11-23T20:00:42+00:00", {}, 60.0, GIB),
)
LAST = LastBuild(
    "2026-11-23T19:59:58.000+00:00",
    44.0,
    (
        Outcome("configure", "configure with CMake", "kept", "unchanged since it was done"),
        Outcome("compile", "compile _C", "failed", "the compile failed", 40.0),
        Outcome("register", "register the editable install", "not reached"),
    ),
)


def data_of(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    read: dict[str, object] = json.loads(found[1])
    return read


LINES = """\
3 compiled, 1 from the cache, 1 failed, 1 tried twice, 7 unchanged in 42 s; \
at best 32 s (by the longest file), efficiency 76%
CPU 1 m 02 s on 2 cores, peak memory 4.0 GiB of 8.0 GiB
slowest: _C/csrc/long.cu 30 s 2.0 GiB, _C/csrc/bad.cu 20 s 2.0 GiB, \
_C/csrc/short.cu 10 s 2.0 GiB, _C/link 2.0 s 2.0 GiB, _C/csrc/{MARKUP}.cu 0.5 s 2.0 GiB"""


def test_the_lines_at_the_end_of_a_build() -> None:
    assert render_summary(RECORD) == tuple(LINES.replace("{MARKUP}", MARKUP).splitlines())
    assert render_summary(replace(RECORD, compiles=())) == ()


def test_others_on_the_machine_are_told_of() -> None:
    slowed = tuple(replace(one, cpu_seconds=one.cpu_seconds / 3) for one in RECORD.compiles)
    lines = render_summary(replace(RECORD, compiles=slowed))
    assert "a compile had 33% of a core: something else used this machine" in lines


def test_the_page_holds_every_compile_and_nothing_from_elsewhere() -> None:
    page = render_report(Story("a <build>", RECORD, RECEIPTS, LAST))
    assert "<title>a &lt;build&gt;</title>" in page
    assert MARKUP not in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    data = data_of(page)
    compiles = data["compiles"]
    assert isinstance(compiles, list)
    assert [one["name"] for one in compiles][2] == f"_C/csrc/{MARKUP}.cu"
    assert data["notes"] == ["said on the way"]
    steps = data["steps"]
    assert isinstance(steps, list)
    assert [(one["name"], one["state"], one["seconds"]) for one in steps] == [
        ("configure", "kept", 3.0),
        ("compile", "failed", 40.0),
        ("register", "not reached", None),
    ]
    assert [what for what, _ in data["when"]] == [  # type: ignore[attr-defined]
        "the last build began",
        "these compiles began",
    ]


def test_the_trace_has_an_event_for_each_compile_in_its_slot() -> None:
    events = json.loads(render_trace(RECORD))["traceEvents"]
    compiles = [one for one in events if one["ph"] == "X"]
    assert len(compiles) == len(RECORD.compiles)
    assert (compiles[0]["name"], compiles[0]["tid"]) == ("_C/csrc/long.cu", 0)
    assert (compiles[3]["ts"], compiles[3]["dur"]) == (11_000_000, 20_000_000)
    assert [one["args"]["compiles"] for one in events if one["ph"] == "C"] == [GIB, 4 * GIB]


def home_with(tmp_path: Path, *keys: str) -> Path:
    for key in keys:
        folder = tmp_path / "receipts" / key
        folder.mkdir(parents=True)
        (folder / "schedule.json").write_text(render_json(RECORD))
        (folder / "compile.json").write_text(render_json(RECEIPTS[1]))
    return tmp_path


def test_report_writes_the_page_and_the_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = home_with(tmp_path, "older", "younger")
    report(trace=tmp_path / "trace.json", common=Common(home=home, json=True))
    said = json.loads(capsys.readouterr().out)
    assert said["path"] == str(home / "receipts" / "younger" / "report.html")
    compiles = data_of(Path(said["path"]).read_text())["compiles"]
    assert isinstance(compiles, list)
    assert len(compiles) == 5
    assert json.loads(Path(said["trace"]).read_text())["traceEvents"]


def test_report_says_the_path_on_stdout_and_the_figures_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "here.html"
    report(output=output, common=Common(home=home_with(tmp_path, "key")))
    said = capsys.readouterr()
    assert said.out == f"{output}\n"
    assert "efficiency 76%" in said.err
    assert output.exists()


def test_a_last_build_that_compiled_nothing_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = home_with(tmp_path, "key")
    last = replace(LAST, started="2026-11-23T21:00:00.000+00:00")
    (home / "receipts" / "key" / "last-build.json").write_text(render_json(last))
    report(common=Common(home=home))
    said = capsys.readouterr()
    assert said.err.startswith("the last build compiled nothing\n3 compiled")
    assert "in a build before it" in Path(said.out.strip()).read_text()
    (home / "receipts" / "key" / "schedule.json").unlink()
    report(common=Common(home=home))
    assert capsys.readouterr().err == "the last build compiled nothing\n"
    with pytest.raises(Problem, match="nothing was compiled") as caught:
        report(trace=tmp_path / "trace.json", common=Common(home=home))
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize(("text", "code"), [(None, ExitCode.USAGE), ("{", ExitCode.BAD_INPUT)])
def test_report_without_a_schedule(tmp_path: Path, text: str | None, code: ExitCode) -> None:
    if text is not None:
        home_with(tmp_path, "key")
        (tmp_path / "receipts" / "key" / "schedule.json").write_text(text)
    with pytest.raises(Problem, match=str(tmp_path)) as caught:
        report(common=Common(home=tmp_path))
    assert caught.value.exit_code == code
