"""The live board at two widths, as a user sees it."""

import io
from collections.abc import Sequence

import pytest
from inline_snapshot import snapshot
from rich.console import Console, RenderableType

from vllm_forge.records.event import (
    AtWork,
    Event,
    Note,
    StepFailed,
    StepFinished,
    StepProgress,
    StepSkipped,
    StepStarted,
)
from vllm_forge.show.board import Board, advance, estimate_left, render_board, stop

MIB = 1 << 20

BEFORE: list[Event] = [
    StepSkipped(
        "system-packages", "unpack libnuma-dev, libnuma1", "unchanged since it was done", 0
    ),
    StepStarted("source", "vLLM 0.10.1 from the package index", 0),
    StepFinished("source", 3.2, "/home/me/sources/vllm-0.10.1-cpu-avx2-torch2.6.0-py3.12"),
    StepStarted("environment", "Python 3.12.1 with torch 2.6.0", 3.2),
]
COMPILING: list[Event] = [
    *BEFORE,
    StepFinished("environment", 27.0, "torch 2.6.0+cu124 imports, CUDA 12.4, the old C++ ABI"),
    Note(28.0, "no solution as of 2025-08-18: unbounded requirements resolve as of today"),
    StepStarted("compile", "compile _C", 30.0),
    StepProgress(
        *("compile", 60.0, 3, 9, "files"),
        memory_bytes=2900 * MIB,
        at_work=(
            AtWork("_C/csrc/cpu/attention.cpp", 14.0, 1500 * MIB),
            AtWork("_C/csrc/cpu/quant.cpp", 30.0, 1400 * MIB),
        ),
        waiting=4,
        held="all 2 cores are taken",
    ),
]


def board_of(events: Sequence[Event]) -> Board:
    board = Board()
    for event in events:
        board = advance(board, event)
    return board


def seen(thing: RenderableType, width: int) -> str:
    """What the terminal holds, without trailing spaces."""
    held = io.StringIO()
    console = Console(file=held, width=width, force_terminal=False, color_system=None)
    console.print(thing)
    return "\n" + "\n".join(line.rstrip() for line in held.getvalue().splitlines()) + "\n"


def test_compiling_at_80() -> None:
    assert seen(render_board(board_of(COMPILING), 75.0, 80), 80) == snapshot("""\

note: no solution as of 2025-08-18: unbounded requirements resolve as of today
· unpack libnuma-dev, libnuma1             unchanged since it was done
✓ vLLM 0.10.1 from the package index 3.2 s /home/me/sources/vllm-0.10.1-cpu…
✓ Python 3.12.1 with torch 2.6.0      24 s torch 2.6.0+cu124 imports, CUDA …
⠋ compile _C                          45 s
  ━━━━━━━━──────────────── 3/9 files  about 1 m 30 s left  memory 2.8 GiB
         45 s   1.4 GiB  _C/csrc/cpu/quant.cpp
         29 s   1.5 GiB  _C/csrc/cpu/attention.cpp
    4 waiting: all 2 cores are taken
""")


def test_compiling_at_120() -> None:
    assert seen(render_board(board_of(COMPILING), 75.0, 120), 120) == snapshot("""\

note: no solution as of 2025-08-18: unbounded requirements resolve as of today
· unpack libnuma-dev, libnuma1             unchanged since it was done
✓ vLLM 0.10.1 from the package index 3.2 s /home/me/sources/vllm-0.10.1-cpu-avx2-torch2.6.0-py3.12
✓ Python 3.12.1 with torch 2.6.0      24 s torch 2.6.0+cu124 imports, CUDA 12.4, the old C++ ABI
⠋ compile _C                          45 s
  ━━━━━━━━──────────────── 3/9 files  about 1 m 30 s left  memory 2.8 GiB
         45 s   1.4 GiB  _C/csrc/cpu/quant.cpp
         29 s   1.5 GiB  _C/csrc/cpu/attention.cpp
    4 waiting: all 2 cores are taken
""")


def test_a_compile_that_hangs_stands_first_and_can_be_ended() -> None:
    at_work = [AtWork(f"_C/csrc/file{number}.cu", number + 9.0, 100 * MIB) for number in range(8)]
    at_work[3] = AtWork("_C/csrc/hangs.cu", 80.0, 20 * MIB, idle_seconds=70.0, group=4711)
    events: list[Event] = [
        StepStarted("compile", "compile _C", 0),
        StepProgress(
            *("compile", 99.0, 3, 400, "files"),
            at_work=tuple(at_work),
            waiting=300,
            held="_C/csrc/scaled_mm_c2x.cu needs 7.5 GiB, 3.1 GiB left",
        ),
    ]
    assert seen(render_board(board_of(events), 100.0, 80), 80) == snapshot("""\

⠋ compile _C 1 m 40 s
  ──────────────────────── 3/400 files
     1 m 21 s  20.0 MiB  hangs.cu: no CPU for 1 m 11 s; to end it: kill -- -4711
         17 s 100.0 MiB  _C/csrc/file7.cu
         16 s 100.0 MiB  _C/csrc/file6.cu
         15 s 100.0 MiB  _C/csrc/file5.cu
         14 s 100.0 MiB  _C/csrc/file4.cu
         12 s 100.0 MiB  _C/csrc/file2.cu
    and 2 more at work
    300 waiting: _C/csrc/scaled_mm_c2x.cu needs 7.5 GiB, 3.1 GiB left
""")


def test_words_of_a_tool_beneath_its_step() -> None:
    events = [
        *BEFORE,
        StepProgress("environment", 9.0, 0, None, "packages", ("Downloading torch",)),
    ]
    assert seen(render_board(board_of(events), 10.0, 80), 80) == snapshot("""\

· unpack libnuma-dev, libnuma1             unchanged since it was done
✓ vLLM 0.10.1 from the package index 3.2 s /home/me/sources/vllm-0.10.1-cpu…
⠋ Python 3.12.1 with torch 2.6.0     6.8 s
    Downloading torch
""")


def test_a_download() -> None:
    events = [*BEFORE[:2], StepProgress("source", 1.0, 4 * MIB, 10 * MIB, "bytes")]
    assert seen(render_board(board_of(events), 2.0, 80), 80) == snapshot("""\

· unpack libnuma-dev, libnuma1             unchanged since it was done
⠦ vLLM 0.10.1 from the package index 2.0 s
  ━━━━━━━━━━────────────── 4.0 MiB of 10.0 MiB  about 3.0 s left
""")


def test_failed() -> None:
    events = [*COMPILING, StepFailed("compile", 80.0, "the compile failed", "/log")]
    assert seen(render_board(board_of(events), 99.0, 80), 80) == snapshot("""\

note: no solution as of 2025-08-18: unbounded requirements resolve as of today
· unpack libnuma-dev, libnuma1             unchanged since it was done
✓ vLLM 0.10.1 from the package index 3.2 s /home/me/sources/vllm-0.10.1-cpu…
✓ Python 3.12.1 with torch 2.6.0      24 s torch 2.6.0+cu124 imports, CUDA …
✗ compile _C                          50 s the compile failed
""")


def test_interrupted() -> None:
    board = stop(board_of(COMPILING), 80.0)
    assert seen(render_board(board, 99.0, 80), 80) == snapshot("""\

note: no solution as of 2025-08-18: unbounded requirements resolve as of today
· unpack libnuma-dev, libnuma1             unchanged since it was done
✓ vLLM 0.10.1 from the package index 3.2 s /home/me/sources/vllm-0.10.1-cpu…
✓ Python 3.12.1 with torch 2.6.0      24 s torch 2.6.0+cu124 imports, CUDA …
✗ compile _C                          50 s interrupted
""")


def test_time_stands_still_when_all_is_done() -> None:
    events = [*COMPILING, StepFinished("compile", 173.0, "1 extension, 143 s")]
    board = board_of(events)
    assert seen(render_board(board, 200.0, 80), 80) == seen(render_board(board, 900.0, 80), 80)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 120, 200])
def test_no_line_is_folded(width: int) -> None:
    rows = [event for event in COMPILING if not isinstance(event, Note)]
    lines = seen(render_board(board_of(rows), 75.0, width), width).strip("\n").splitlines()
    assert len(lines) == 4 + 1 + 2 + 1
    assert max(len(line) for line in lines) <= width


def test_words_in_brackets_are_words() -> None:
    events: list[Event] = [
        StepStarted("compile", "compile [bold]_C[/bold]", 0),
        StepFailed("compile", 1, "the array a[0] [/] is wrong"),
    ]
    said = seen(render_board(board_of(events), 2.0, 120), 120)
    assert "compile [bold]_C[/bold]" in said
    assert "the array a[0] [/] is wrong" in said


@pytest.mark.parametrize(
    ("done", "total", "now", "left"),
    [
        (0, 9, 10.0, None),
        (1, 9, 10.0, None),
        (3, 9, 30.0, 60.0),
        (9, 9, 30.0, 0.0),
        (40, 425, 30.0, None),
        (85, 425, 100.0, 400.0),
        (5, None, 30.0, None),
    ],
)
def test_the_time_left(done: int, total: int | None, now: float, left: float | None) -> None:
    assert estimate_left(StepProgress("compile", now, done, total, "files"), 0.0, now) == left
