"""Numbers as people read them, and errors as they are shown."""

import pytest
from inline_snapshot import snapshot

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.show.problem import ErrorDocument, render_problem
from vllm_forge.show.units import render_bytes, render_duration


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (10_485_760, "10.0 MiB"),
        (5_583_457_484, "5.2 GiB"),
        (1 << 50, "1024.0 TiB"),
    ],
)
def test_bytes(size: int, shown: str) -> None:
    assert render_bytes(size) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0.0 s"),
        (9.94, "9.9 s"),
        (10.4, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 m 00 s"),
        (3599.4, "59 m 59 s"),
        (3600, "1 h 00 m"),
        (90061, "25 h 01 m"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert render_duration(seconds) == shown


PROBLEM = Problem(
    "vLLM 0.10.11 is not on the index; nearest: 0.10.1",
    causes=("asked just now", "log: /l"),
    hints=("--vllm 0.10.1",),
    exit_code=ExitCode.USAGE,
)


def test_a_problem_for_people() -> None:
    assert render_problem(PROBLEM) == snapshot("""\
error: vLLM 0.10.11 is not on the index; nearest: 0.10.1
  cause: asked just now
  cause: log: /l
hint: --vllm 0.10.1
""")
    assert render_problem(Problem("alone")) == "error: alone\n"


def test_a_problem_for_programs() -> None:
    assert ErrorDocument.of(PROBLEM, ()) == snapshot(
        ErrorDocument(
            status="error",
            message="vLLM 0.10.11 is not on the index; nearest: 0.10.1",
            causes=("asked just now", "log: /l"),
            hints=("--vllm 0.10.1",),
            exit_code=ExitCode.USAGE,
            log=None,
            findings=(),
        )
    )
