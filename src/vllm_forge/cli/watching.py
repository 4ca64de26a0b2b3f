"""Carry events to the screen: a live board on a terminal, lines elsewhere, nothing when quiet."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

from rich.console import Console, Group
from rich.live import Live

from vllm_forge.cli.common import say
from vllm_forge.records.event import Emit, Event, StepProgress
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.show.board import Board, advance, render_board, stop
from vllm_forge.show.lines import render_line

REDRAWS_PER_SECOND = 8
ENDINGS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def watching(*, quiet: bool) -> Iterator[Emit]:
    """Yield where events go while the body works.

    Raises:
        Problem: exit 130 when the body was interrupted; by then its processes have ended.
    """
    console = Console(stderr=True)
    with _ending_in_order():
        if quiet:
            yield lambda _event: None
        elif console.is_terminal:
            yield from _watch_live(console)
        else:
            yield _speak_lines()


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """SIGTERM and SIGHUP end the work as an interrupt does; ignored ones (nohup) stay ignored."""

    def interrupt(_sign: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    taken = [sign for sign in ENDINGS if signal.getsignal(sign) is signal.SIG_DFL]
    for sign in taken:
        signal.signal(sign, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        raise Problem(
            "interrupted",
            hints=("run the same command again: it goes on from here",),
            exit_code=ExitCode.INTERRUPTED,
        ) from None
    finally:
        for sign in taken:
            signal.signal(sign, signal.SIG_DFL)


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

        try:
            yield emit
        except BaseException:
            board = stop(board, monotonic())
            raise


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
