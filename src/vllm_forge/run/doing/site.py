"""Where one step is done, and what it reports."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TypeVar

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from vllm_forge.records.event import Note, StepProgress
from vllm_forge.records.plan import (
    Compile,
    Configure,
    Environment,
    Plan,
    Requirements,
    Source,
    Step,
)
from vllm_forge.records.receipt import Made
from vllm_forge.release.left_out import read_left_out
from vllm_forge.release.source_tree import SourceTree
from vllm_forge.run.doors import Doors
from vllm_forge.run.index import uv_environment
from vllm_forge.run.uv import Uv
from vllm_forge.run.watched import Watched

Kind = TypeVar("Kind", Configure, Compile, Environment)


@dataclass(frozen=True, slots=True)
class Done:
    """What one step reports: files it made, facts for later steps, and a line for people.

    `watched` is what it was made from, for steps that files decide.
    """

    summary: str
    made: tuple[Made, ...] = ()
    facts: Mapping[str, str | None] | None = None
    cpu_seconds: float | None = None
    peak_bytes: int | None = None
    watched: Watched | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """`facts` are those of the receipts before it; `log` is where programs' output goes."""

    step: Step
    plan: Plan
    doors: Doors
    facts: Mapping[str, str | None]
    log: Path

    def note(self, message: str) -> None:
        """Something for people."""
        self.doors.emit(Note(monotonic(), message))

    def progress(self, done: int, total: int | None) -> None:
        """Bytes that have come."""
        self.doors.emit(StepProgress(self.step.name, monotonic(), done, total, "bytes"))

    def open_uv(self) -> Uv:
        """The uv client, with the user's index, its lines on the screen."""
        doors = self.doors
        return Uv(
            uv_environment(doors.settings, doors.environ), self.log, doors.offline, self._hear
        )

    def _hear(self, line: str) -> None:
        said = line.strip()
        if said and not said.startswith(("+", "-", "~")):  # uv's list of what it installed
            name = self.step.name
            self.doors.emit(StepProgress(name, monotonic(), 0, None, "packages", (said,)))


def requirement_lines(plan: Plan) -> tuple[str, ...]:
    """What the tree asks for at run time."""
    for step in plan.steps:
        if isinstance(step.action, Requirements):
            return without_left_out(plan, step.action.lines)[0]
    return ()


def without_left_out(
    plan: Plan, lines: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """(lines that stay, lines that the tree's setup.py skips, each with the place that says so)."""
    source = next((step.action for step in plan.steps if isinstance(step.action, Source)), None)
    skipped = {} if source is None else read_left_out(SourceTree(Path(source.path)))
    names = {line: canonicalize_name(Requirement(line).name) for line in lines}
    return (
        tuple(line for line in lines if names[line] not in skipped),
        tuple((line, skipped[names[line]]) for line in lines if names[line] in skipped),
    )


def action_of(plan: Plan, kind: type[Kind]) -> Kind:
    """The plan's one step of that kind."""
    return next(step.action for step in plan.steps if isinstance(step.action, kind))
