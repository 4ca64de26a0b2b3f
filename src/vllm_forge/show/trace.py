"""A schedule as a Chrome trace: for chrome://tracing, Perfetto and speedscope."""

from typing import Any

from vllm_forge.records.codec import render_json
from vllm_forge.records.schedule import CompileRecord, ScheduleRecord


def render_trace(record: ScheduleRecord) -> str:
    """JSON in the Trace Event Format: a complete event (X) a compile, counters (C) for memory.

    Times are microseconds from the start; a slot is a thread.
    """
    slots = sorted({one.slot for one in record.compiles})
    named = [
        {"name": "thread_name", "ph": "M", "pid": 1, "tid": slot, "args": {"name": f"slot {slot}"}}
        for slot in slots
    ]
    counters = [
        {
            "name": "memory",
            "ph": "C",
            "pid": 1,
            "ts": round(sample.at * 1e6),
            "args": {"compiles": sample.resident_bytes},
        }
        for sample in record.samples
    ]
    events = [*named, *(_event(one) for one in record.compiles), *counters]
    return render_json({"traceEvents": events, "displayTimeUnit": "ms"}, indent=0)


def _event(one: CompileRecord) -> dict[str, Any]:
    return {
        "name": one.command.name,
        "cat": one.command.kind,
        "ph": "X",
        "pid": 1,
        "tid": one.slot,
        "ts": round(one.started * 1e6),
        "dur": round(one.seconds * 1e6),
        "args": {
            "cpu_seconds": one.cpu_seconds,
            "peak_bytes": one.peak_bytes,
            "predicted_bytes": one.predicted.peak_bytes,
            "waited_seconds": round(one.started - one.asked, 3),
            "waited_for": one.waited_for,
            "cached": one.cached,
            "code": one.code,
        },
    }
