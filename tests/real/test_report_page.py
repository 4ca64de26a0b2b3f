"""The report of a real build, opened in a real browser."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.browser import Browser, bars, needs_browser, rows
from vllm_forge.records.codec import parse_json
from vllm_forge.records.schedule import ScheduleRecord

if TYPE_CHECKING:
    from tests.support.real import RealBuild

pytestmark = [pytest.mark.network, pytest.mark.compile, pytest.mark.slow, needs_browser]


def test_the_page_tells_the_build(real_build: "RealBuild", tmp_path: Path) -> None:
    page, trace = tmp_path / "report.html", tmp_path / "trace.json"
    done = real_build.forge("report", "--output", page, "--trace", trace, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"path": str(page), "trace": str(trace)}
    kept = next((real_build.forge.home / "receipts").glob("*/schedule.json"))
    record = parse_json(kept.read_bytes(), ScheduleRecord, origin=str(kept))
    names = {one.command.name for one in record.compiles}
    browser = Browser(tmp_path / "profile")
    shown = browser.dom(page)
    assert {row[0] for row in rows(shown)} == names
    assert len(bars(shown)) == len(record.compiles)
    assert "<polyline" in shown
    assert {row[0] for row in rows(shown, "steps")} >= {"configure", "compile", "register"}
    assert "_C" in {row[0] for row in rows(shown, "targets") if row[1] == "built"}
    link = browser.dom(page, "link")
    assert {row[0] for row in rows(link)} == {name for name in names if "link" in name}
    events = json.loads(trace.read_text())["traceEvents"]
    assert {one["name"] for one in events if one["ph"] == "X"} == names
