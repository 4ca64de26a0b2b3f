"""What ninja says and leaves behind, damaged as well; and the order it starts things in."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vllm_forge.run.compile import first_failed_edge
from vllm_forge.run.ninja import (
    LogEntry,
    cost_of,
    order_longest_first,
    parse_ninja_log,
    parse_status,
)

GRAPH = """\
# CMAKE generated file: DO NOT EDIT!
ninja_required_version = 1.5

#############################################
# Object build statements for MODULE_LIBRARY target _C

build CMakeFiles/_C.dir/csrc/a.cpp.o: CXX_COMPILER___C_unscanned /t/csrc/a.cpp || order
  FLAGS = -O2

build CMakeFiles/_C.dir/csrc/b.cpp.o: CXX_COMPILER___C_unscanned /t/csrc/b.cpp || order
  FLAGS = -O3

build CMakeFiles/_C.dir/csrc/c.cu.o: CUDA_COMPILER___C_unscanned /t/csrc/c.cu || order
  FLAGS = -O1

# =============================================================================
build _C.abi3.so: CXX_MODULE_LIBRARY_LINKER___C CMakeFiles/_C.dir/csrc/a.cpp.o

build all: phony _C.abi3.so
"""


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


def objects(graph: str) -> list[str]:
    return [line.split()[2] for line in graph.splitlines() if "_COMPILER" in line]


def test_the_longest_is_started_first() -> None:
    costs = {"/t/csrc/a.cpp": 1.0, "/t/csrc/b.cpp": 30.0, "/t/csrc/c.cu": 20.0}
    ordered = order_longest_first(GRAPH, lambda source: costs[source])
    assert objects(ordered) == [
        "CXX_COMPILER___C_unscanned",
        "CUDA_COMPILER___C_unscanned",
        "CXX_COMPILER___C_unscanned",
    ]
    assert ordered.index("b.cpp.o:") < ordered.index("c.cu.o:") < ordered.index("a.cpp.o:")
    assert sorted(ordered.splitlines()) == sorted(GRAPH.splitlines())
    blocks = ordered.split("build ")
    assert next(block for block in blocks if "b.cpp.o:" in block).strip().endswith("-O3")
    assert order_longest_first(ordered, lambda source: costs[source]) == ordered


def test_equal_costs_change_nothing() -> None:
    assert order_longest_first(GRAPH, lambda _source: 1.0) == GRAPH


def test_what_was_learned_before_what_is_guessed() -> None:
    learned = {"csrc/a.cpp": 7.0}
    assert cost_of("/x/csrc/a.cpp", learned=learned, size=lambda _: 0) == 7.0
    assert cost_of("/x/csrc/b.cpp", learned=learned, size=lambda _: 10240) == 30.0
    assert cost_of("/x/other.cpp", learned=learned, size=lambda _: 0) == 20.0


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
