"""The live board: a pure function of what was said, the time, and the width."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

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
from vllm_forge.show.units import render_bytes, render_duration

BAR_CELLS = 24
MOST_RUNNING = 6
OTHER_CELLS = len("✓ " + " 59 m 59 s ")
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


@dataclass(frozen=True, slots=True)
class Row:
    """One step as the board shows it. Times are monotonic seconds."""

    step: str
    title: str
    state: str
    started: float
    ended: float | None = None
    detail: str = ""
    progress: StepProgress | None = None


@dataclass(frozen=True, slots=True)
class Board:
    """Everything the events said so far."""

    rows: tuple[Row, ...] = ()
    notes: tuple[str, ...] = field(default=())


def advance(board: Board, event: Event) -> Board:
    """The board after one more event."""
    match event:
        case StepStarted(step, title, at, because):
            row = Row(step, title, "running", at, detail=because)
            return replace(board, rows=(*board.rows, row))
        case StepSkipped(step, title, reason, at):
            row = Row(step, title, "skipped", at, at, reason)
            return replace(board, rows=(*board.rows, row))
        case StepProgress(step):
            return _change(board, step, progress=event)
        case StepFinished(step, at, summary):
            return _change(board, step, state="done", ended=at, detail=summary, progress=None)
        case StepFailed(step, at, message, _):
            return _change(board, step, state="failed", ended=at, detail=message, progress=None)
        case Note(_, message):
            return replace(board, notes=(*board.notes, message))


def stop(board: Board, at: float) -> Board:
    """The board when the work ends before its time: what was running is told as interrupted."""
    for row in board.rows:
        if row.state == "running":
            board = _change(board, row.step, state="interrupted", ended=at, detail="interrupted")
    return board


def _change(board: Board, step: str, **changes: object) -> Board:
    rows = tuple(
        replace(row, **changes) if row.step == step else row  # type: ignore[arg-type]
        for row in board.rows
    )
    return replace(board, rows=rows)


def render_board(board: Board, now: float, width: int) -> RenderableType:
    """A line for each step; beneath the running one its bar, what runs, memory and time left."""
    table = Table.grid(padding=(0, 1), expand=False)
    table.add_column(width=1)
    titles = min(max((cell_len(row.title) for row in board.rows), default=0), max(20, width // 2))
    table.add_column(no_wrap=True, max_width=titles)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(
        no_wrap=True, overflow="ellipsis", max_width=max(10, width - titles - OTHER_CELLS)
    )
    below: list[RenderableType] = []
    for row in board.rows:
        spent = (row.ended if row.ended is not None else now) - row.started
        time = "" if row.state == "skipped" else render_duration(spent)
        style = {"failed": "bold red", "skipped": "dim", "running": "bold"}.get(row.state, "")
        table.add_row(
            _mark(row, now),
            Text(row.title, style=style),
            Text(time, style="dim"),
            Text(row.detail),
        )
        if row.state == "running" and row.progress is not None:
            below += _progress_lines(row.progress, row.started, now, width)
    notes = [Text(f"note: {note}", style="yellow") for note in board.notes]
    return Group(*notes, table, *below)


def _mark(row: Row, now: float) -> Text:
    match row.state:
        case "done":
            return Text("✓", style="green")
        case "failed":
            return Text("✗", style="bold red")
        case "interrupted":
            return Text("✗", style="yellow")
        case "skipped":
            return Text("·", style="dim")
        case _:
            return Text(SPINNER[int(now * 8) % len(SPINNER)], style="cyan")


def _progress_lines(
    progress: StepProgress, started: float, now: float, width: int
) -> list[RenderableType]:
    lines: list[RenderableType] = []
    if progress.total:
        share = min(1.0, progress.done / progress.total)
        filled = round(share * BAR_CELLS)
        bar = Text("  ")
        bar.append("━" * filled, style="cyan")
        bar.append("─" * (BAR_CELLS - filled), style="bright_black")
        bar.append(f" {render_amount(progress)}")
        left = estimate_left(progress, started, now)
        if left is not None:
            bar.append(f"  about {render_duration(left)} left", style="dim")
        if progress.memory_bytes:
            bar.append(f"  memory {render_bytes(progress.memory_bytes)}", style="dim")
        bar.truncate(width, overflow="ellipsis")
        lines.append(bar)
    since = max(0.0, now - progress.at)
    below = [
        *(Text(f"    {name}", style="dim") for name in progress.running[:MOST_RUNNING]),
        *(_compile_line(one, since) for one in _most_telling(progress.at_work)),
        *_waiting_lines(progress),
    ]
    for line in below:
        line.truncate(width, overflow="ellipsis")
    return [*lines, *below]


def _most_telling(at_work: Sequence[AtWork]) -> list[AtWork]:
    """Those that use no CPU, then those longest at work: as many as there is room for."""
    return sorted(at_work, key=lambda one: (-one.idle_seconds, -one.seconds))[:MOST_RUNNING]


def _compile_line(one: AtWork, since: float) -> Text:
    """Age, memory and name; and of one that hangs, for how long and how to end it."""
    age = render_duration(one.seconds + since)
    figures = f"    {age:>9} {render_bytes(one.memory_bytes):>9}  "
    if not one.idle_seconds:
        return Text(f"{figures}{one.name}", style="dim")
    line = Text(f"{figures}{one.name.rpartition('/')[2]}", style="yellow")
    idle = render_duration(one.idle_seconds + since)
    return line.append(f": no CPU for {idle}; to end it: kill -- -{one.group}")


def _waiting_lines(progress: StepProgress) -> list[Text]:
    more = len(progress.at_work) - MOST_RUNNING
    lines = (
        f"    and {more} more at work" if more > 0 else "",
        f"    {progress.waiting} waiting: {progress.held}" if progress.waiting else "",
    )
    return [Text(line, style="dim") for line in lines if line]


def render_amount(progress: StepProgress) -> str:
    """`3/9 files`, `4.2/10.0 MiB`."""
    if progress.unit == "bytes":
        total = render_bytes(progress.total) if progress.total else "?"
        return f"{render_bytes(progress.done)} of {total}"
    return f"{progress.done}/{progress.total} {progress.unit}"


def estimate_left(progress: StepProgress, started: float, now: float) -> float | None:
    """Seconds to go at the rate so far; None until a tenth, or two units, are done."""
    if not progress.total or progress.done < max(2, progress.total // 10):
        return None
    return (now - started) / progress.done * (progress.total - progress.done)
