"""The HTML report: one file that opens offline, with the build's data in it."""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from importlib import resources
from typing import Any

from vllm_forge.records.codec import render_json
from vllm_forge.records.receipt import Receipt
from vllm_forge.records.schedule import CompileRecord, ScheduleRecord
from vllm_forge.resolve.makespan import bound_of, peak_of
from vllm_forge.show.schedule import count_of, efficiency_of, render_share
from vllm_forge.show.units import render_bytes, render_duration


def render_report(record: ScheduleRecord, receipts: Sequence[Receipt], *, title: str) -> str:
    """The page. What it shows comes as JSON in a script element; the page has no other source."""
    page = resources.files("vllm_forge.show").joinpath("report_page.html").read_text("utf-8")
    data = {
        "seconds": record.seconds,
        "cores": record.cores,
        "memory": record.memory_bytes,
        "figures": figures_of(record),
        "compiles": [_compile(one) for one in record.compiles],
        "samples": [
            [one.at, one.resident_bytes, one.available_bytes, one.pressure, one.waiting]
            for one in record.samples
        ],
        "steps": [_step(receipt, record) for receipt in receipts],
        "notes": [*record.notes],
    }
    text = render_json(data, indent=0).replace("<", "\\u003c")  # nothing in it ends the element
    return page.replace("{{title}}", escape(title)).replace("{{data}}", text)


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
    room = f"of {render_bytes(record.memory_bytes)}" if record.memory_bytes else ""
    return [
        ("time", render_duration(record.seconds), count_of(record)),
        ("bound", render_duration(bound.seconds), parts),
        ("efficiency", f"{efficiency_of(record):.0%}", f"bound / time; {bound.binding} binds"),
        ("CPU", render_duration(cpu), f"{record.cores} cores. {render_share(record)}"),
        ("peak memory", render_bytes(peak_of(record)), room),
    ]


def _compile(one: CompileRecord) -> dict[str, Any]:
    return {
        "name": one.command.name,
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


def _step(receipt: Receipt, record: ScheduleRecord) -> dict[str, Any]:
    """A step that ended before these compiles began stood from an earlier build, or led to them."""
    kept = datetime.fromisoformat(receipt.finished) < datetime.fromisoformat(record.started)
    return {
        "name": receipt.step,
        "seconds": receipt.seconds,
        "cpu": receipt.cpu_seconds,
        "peak": receipt.peak_bytes,
        "finished": receipt.finished,
        "before": kept,
    }
