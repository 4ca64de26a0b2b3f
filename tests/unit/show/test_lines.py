"""Where nobody watches: one plain line for each thing that happened."""

import pytest

from vllm_forge.records.event import (
    Event,
    Note,
    StepFailed,
    StepFinished,
    StepProgress,
    StepSkipped,
    StepStarted,
)
from vllm_forge.show.lines import render_line


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (StepStarted("source", "vLLM 0.10.1", 0), "[source] vLLM 0.10.1"),
        (StepStarted("compile", "compile _C", 0, "written"), "[compile] compile _C (written)"),
        (StepSkipped("source", "vLLM 0.10.1", "unchanged", 0), "[source] vLLM 0.10.1: unchanged"),
        (StepFinished("source", 1, "/tree"), "[source] done: /tree"),
        (StepFailed("source", 1, "cut off"), "[source] failed: cut off"),
        (StepFailed("source", 1, "cut off", "/l"), "[source] failed: cut off (log: /l)"),
        (Note(0, "another is at work"), "note: another is at work"),
        (StepProgress("compile", 1, 3, 9, "files"), "[compile] 3/9 files"),
        (StepProgress("source", 1, 3, 9, "bytes"), None),
        (StepProgress("environment", 1, 0, None, "packages", ("Downloading torch",)), None),
    ],
)
def test_a_line_for_each(event: Event, line: str | None) -> None:
    assert render_line(event, None) == line


def test_progress_speaks_when_a_file_more_is_done() -> None:
    last = StepProgress("compile", 1, 3, 9, "files", ("a.cpp",))
    assert render_line(StepProgress("compile", 2, 3, 9, "files", ("b.cpp",)), last) is None
    assert render_line(StepProgress("compile", 2, 4, 9, "files"), last) == "[compile] 4/9 files"
    assert render_line(StepProgress("link", 2, 3, 9, "files"), last) == "[link] 3/9 files"
