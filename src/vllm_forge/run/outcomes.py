"""Keep what became of a build's steps, beside their receipts."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Final

from vllm_forge.records.codec import parse_json, render_json
from vllm_forge.records.event import (
    Emit,
    Event,
    Note,
    StepFailed,
    StepFinished,
    StepProgress,
    StepSkipped,
    StepStarted,
)
from vllm_forge.records.outcome import LastBuild, Outcome
from vllm_forge.records.plan import Plan
from vllm_forge.records.problem import Problem
from vllm_forge.run.files import write_atomically

LAST_BUILD: Final = "last-build.json"


class Outcomes:
    """Hears a build's events on their way to the screen."""

    def __init__(self, plan: Plan, emit: Emit) -> None:
        self._plan = plan
        self._emit = emit
        self._began = monotonic()
        self._started = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._begun: dict[str, float] = {}
        self._outcomes = {
            step.name: Outcome(step.name, step.title, "not reached") for step in plan.steps
        }

    def emit(self, event: Event) -> None:
        self._hear(event)
        self._emit(event)

    def keep(self, folder: Path) -> None:
        """Write them down; a report is not worth failing a build for."""
        last = LastBuild(
            self._started,
            round(monotonic() - self._began, 3),
            tuple(self._outcomes.values()),
            self._plan.targets,
        )
        with suppress(OSError):
            write_atomically(folder / LAST_BUILD, render_json(last))

    def _hear(self, event: Event) -> None:
        match event:
            case StepStarted(step, _, at, because):
                self._begun[step] = at
                self._change(step, Outcome(step, "", "interrupted", because))
            case StepSkipped(step, _, reason, _):
                self._change(step, Outcome(step, "", "kept", reason))
            case StepFinished(step, at, _):
                because = self._outcomes[step].because
                self._change(step, Outcome(step, "", "done", because, self._since(step, at)))
            case StepFailed(step, at, message, _):
                self._change(step, Outcome(step, "", "failed", message, self._since(step, at)))
            case StepProgress() | Note():
                pass

    def _change(self, step: str, outcome: Outcome) -> None:
        self._outcomes[step] = replace(outcome, title=self._outcomes[step].title)

    def _since(self, step: str, at: float) -> float:
        return round(at - self._begun.get(step, at), 3)


def read_last_build(folder: Path) -> LastBuild | None:
    """None where there is none, or a damaged one."""
    path = folder / LAST_BUILD
    try:
        return parse_json(path.read_bytes(), LastBuild, origin=str(path))
    except (OSError, Problem):
        return None
