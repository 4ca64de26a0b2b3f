"""Carry events to the screen: a live board on a terminal, lines elsewhere, nothing when quiet."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console, Group
from rich.live import Live

from vllm_forge.cli.common import say
from vllm_forge.records.event import Emit, Event, StepProgress
from vllm_forge.show.board import Board, advance, render_board
from vllm_forge.show.lines import render_line

REDRAWS_PER_SECOND = 8


@contextmanager
def watching(*, quiet: bool) -> Iterator[Emit]:
    """Yield where events go while the body works."""
    console = Console(stderr=True)
    if quiet:
        yield lambda _event: None
    elif console.is_terminal:
        yield from _watch_live(console)
    else:
        yield _speak_lines()


def _watch_live(console: Console) -> Iterator[Emit]:
    board = Board()

    with Live(
        get_renderable=lambda: Group(render_board(board, monotonic(), console.width)),
        console=console,
        refresh_per_second=REDRAWS_PER_SECOND,
        redirect_stdout=False,
    ):

        def emit(event: Event) -> None:
            nonlocal board
            board = advance(board, event)

        yield emit


def _speak_lines() -> Emit:
    last: StepProgress | None = None

    def emit(event: Event) -> None:
        nonlocal last
        line = render_line(event, last)
        if isinstance(event, StepProgress):
            last = event
        if line is not None:
            say(line)

    return emit
