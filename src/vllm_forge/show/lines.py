"""Plain lines, for when nobody watches: one for each thing that happened."""

from vllm_forge.records.event import (
    Event,
    Note,
    StepFailed,
    StepFinished,
    StepProgress,
    StepSkipped,
    StepStarted,
)
from vllm_forge.show.board import render_amount


def render_line(event: Event, last: StepProgress | None) -> str | None:
    """None for what is not worth a line; progress speaks when a file more is done."""
    match event:
        case StepStarted(step, title, _, because):
            return f"[{step}] {title}" + (f" ({because})" if because else "")
        case StepSkipped(step, title, reason, _):
            return f"[{step}] {title}: {reason}"
        case StepFinished(step, _, summary):
            return f"[{step}] done: {summary}"
        case StepFailed(step, _, message, log):
            return f"[{step}] failed: {message}" + (f" (log: {log})" if log else "")
        case Note(_, message):
            return f"note: {message}"
        case StepProgress(step, _, done, total, unit):
            if unit == "bytes" or not total:
                return None
            if last is not None and (last.step, last.done) == (step, done):
                return None
            return f"[{step}] {render_amount(event)}"
