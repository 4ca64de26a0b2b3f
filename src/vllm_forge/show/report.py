"""The HTML report: one file that opens offline, with the build's data in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib import resources
from typing import Any

from vllm_forge.records.codec import render_json
from vllm_forge.records.outcome import LastBuild
from vllm_forge.records.receipt import Receipt
from vllm_forge.records.schedule import CompileRecord, ScheduleRecord
from vllm_forge.resolve.makespan import bound_of, peak_of
from vllm_forge.show.schedule import count_of, efficiency_of, render_share
from vllm_forge.show.units import render_bytes, render_duration


@dataclass(frozen=True, slots=True)
class Story:
    """What a build left to tell: its compiles, its receipts, and what became of its steps.

    The compiles may be those of a build before the last one, which then had nothing to compile.
    """

    title: str
    schedule: ScheduleRecord | None
    receipts: Sequence[Receipt]
    last: LastBuild | None

    @property
    def compiles_are_older(self) -> bool:
        return (
            self.schedule is not None
            and self.last is not None
            and datetime.fromisoformat(self.schedule.started)
            < datetime.fromisoformat(self.last.started)
        )


def render_report(story: Story) -> str:
    """The page. What it shows comes as JSON in a script element; the page has no other source."""
    page = resources.files("vllm_forge.show").joinpath("report_page.html").read_text("utf-8")
    schedule = story.schedule
    data = {
        "when": when_of(story),
        "seconds": schedule.seconds if schedule else 0,
        "memory": schedule.memory_bytes if schedule else None,
        "figures": figures_of(schedule) if schedule else [],
        "compiles": [_compile(one) for one in schedule.compiles] if schedule else [],
        "samples": [
            [one.at, one.resident_bytes, one.available_bytes, one.pressure, one.waiting]
            for one in (schedule.samples if schedule else ())
        ],
        "steps": [*_steps(story)],
        "targets": story.last.targets if story.last else [],
        "notes": schedule.notes if schedule else [],
    }
    text = render_json(data, indent=0).replace("<", "\\u003c")  # nothing in it ends the element
    return page.replace("{{title}}", escape(story.title)).replace("{{data}}", text)


def when_of(story: Story) -> list[tuple[str, str]]:
    """(what, ISO 8601) of what the page tells."""
    told = []
    if story.last is not None:
        told.append(("the last build began", story.last.started))
    if story.schedule is not None:
        older = ", in a build before it," if story.compiles_are_older else ""
        told.append((f"these compiles{older} began", story.schedule.started))
    return told


def figures_of(record: ScheduleRecord) -> list[tuple[str, str, str]]:
    """(name, value, what is meant) of each figure above the timeline."""
    bound = bound_of(record)
    cpu = sum(one.cpu_seconds for one in record.compiles)
    memory = "not seen" if bound.memory_seconds is None else render_duration(bound.memory_seconds)
    parts = (
        f"longest file and link {render_duration(bound.longest_seconds)}, "
        f"CPU over cores {render_duration(bound.cores_seconds)}, "
        f"memory over time {memory}"
    )
    cores = f"{record.cores} core{'s'[: record.cores != 1]}"
    share = render_share(record)
    room = f"of {render_bytes(record.memory_bytes)} there was" if record.memory_bytes else ""
    return [
        ("time", render_duration(record.seconds), count_of(record)),
        ("bound", render_duration(bound.seconds), parts),
        ("efficiency", f"{efficiency_of(record):.0%}", f"bound / time; bound by {bound.binding}"),
        ("CPU", render_duration(cpu), f"on {cores}" + (f"; {share}" if share else "")),
        ("peak memory", render_bytes(peak_of(record)), room),
    ]


def _compile(one: CompileRecord) -> dict[str, Any]:
    return {
        "name": one.command.name,
        "target": one.command.target,
        "kind": one.command.kind,
        "slot": one.slot,
        "asked": one.asked,
        "started": one.started,
        "ended": one.ended,
        "cpu": one.cpu_seconds,
        "peak": one.peak_bytes,
        "predicted": one.predicted.peak_bytes,
        "origin": one.predicted.origin,
        "because": one.predicted.because,
        "code": one.code,
        "cached": bool(one.cached),
        "attempt": one.attempt,
        "waited": one.waited_for,
    }


def _steps(story: Story) -> Iterator[dict[str, Any]]:
    """Each step as the last build met it, with its receipt's figures, be they of an earlier one."""
    receipts = {receipt.step: receipt for receipt in story.receipts}
    outcomes = story.last.outcomes if story.last else ()
    for outcome in outcomes:
        receipt = receipts.get(outcome.step)
        kept = receipt if outcome.state in {"done", "kept"} else None
        yield {
            "name": outcome.step,
            "state": outcome.state,
            "because": outcome.because,
            "seconds": kept.seconds if kept else outcome.seconds,
            "cpu": kept.cpu_seconds if kept else None,
            "peak": kept.peak_bytes if kept else None,
            "finished": kept.finished if kept else None,
        }
