"""What ninja says and leaves behind, damaged as well."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vllm_forge.run.compile import first_failed_edge
from vllm_forge.run.ninja import LogEntry, parse_ninja_log, parse_status


@pytest.mark.parametrize(
    "line", ["", "ninja: no work to do.", "\x1e3\x1fx", "\x1ea b\x1fx", "[1/2] x", " \x1e1 2\x1f"]
)
def test_other_lines_are_no_progress(line: str) -> None:
    assert parse_status(line) is None


@pytest.mark.parametrize(
    ("text", "outputs"),
    [
        ("", []),
        ("# ninja log v5\n1\t2\t3\ta.o\tff\n", ["a.o"]),
        ("# ninja log v7\n1\t2\t3\ta.o\tff\n4\t9\t3\ta.o\tff\n", ["a.o"]),
        ("# ninja log v7\n1\t2\t3\ta.o\tff\n4\t9\t3\tb", ["a.o"]),
        ("# ninja log v7\n\0\0\t\0\t\0\tx\t\0\n", []),
        ("# ninja log v7\nx\ty\t3\ta.o\tff\n", []),
    ],
)
def test_a_log_cut_off_or_damaged(text: str, outputs: list[str]) -> None:
    assert [entry.output for entry in parse_ninja_log(text)] == outputs


def test_the_last_build_of_an_output_counts() -> None:
    text = "# ninja log v7\n0\t5000\t3\ta.o\tff\n10\t2010\t3\ta.o\tff\n"
    assert parse_ninja_log(text) == (LogEntry(10, 2010, "a.o"),)
    assert parse_ninja_log(text)[0].seconds == 2.0


def test_the_first_failure_is_told_without_its_neighbours() -> None:
    said = (
        "\x1e0 3\x1fBuilding a.o\n\x1e1 3\x1fFAILED: [code=1] b.o \ng++ -c b.cpp\n"
        "b.cpp:3:9: error: 'x' was not declared\n    3 | int y = x;\n"
        "\x1e2 3\x1fBuilding c.o\nc.cpp:1:1: warning: error-prone\n"
        "\x1e3 3\x1fFAILED: [code=1] d.o \nd.cpp:1:1: error: later\nninja: build stopped.\n"
    )
    assert first_failed_edge(said) == (
        "FAILED: [code=1] b.o ",
        "b.cpp:3:9: error: 'x' was not declared",
    )


def test_a_ninja_that_fails_by_itself() -> None:
    said = "ninja: error: loading 'build.ninja': No such file or directory\n"
    assert first_failed_edge(said) == (said.strip(),)


def test_a_real_ninja_speaks_so(tmp_path: Path) -> None:
    ninja = Path(sys.executable).with_name("ninja")
    (tmp_path / "build.ninja").write_text(
        "rule touch\n  command = touch $out\n  description = touching $out\n"
        "build a: touch\nbuild b: touch a\n"
    )
    said = subprocess.run(
        [ninja, "-C", tmp_path],
        capture_output=True,
        check=True,
        env={**os.environ, "NINJA_STATUS": "\x1e%f %t\x1f"},
        text=True,
    )
    told = [parse_status(line) for line in said.stdout.split("\n")]
    assert [(one.done, one.total) for one in told if one] == [(1, 2), (2, 2)]
    assert [one.description for one in told if one] == ["touching a", "touching b"]
    log = (tmp_path / ".ninja_log").read_text()
    assert [entry.output for entry in parse_ninja_log(log)] == ["a", "b"]
