"""The artifact store for people."""

from collections.abc import Iterator

from vllm_forge.records.store import StoreState
from vllm_forge.show.units import render_bytes, render_duration


def render_store(state: StoreState) -> Iterator[str]:
    """What is there, what it saved, what was taken away."""
    counters = state.counters
    count = f"{state.extensions} extension{'s'[: state.extensions != 1]}"
    yield f"{state.path}: {count}, {render_bytes(state.bytes)}"
    hits = f"{counters.hits} restored, {counters.stored} kept"
    yield f"{hits}; {render_duration(counters.saved_cpu_seconds)} of CPU time saved"
    if counters.corrupt:
        yield f"{counters.corrupt} found damaged so far, and discarded"
    if state.dropped or state.freed_bytes:
        yield f"keys dropped: {state.dropped}; {render_bytes(state.freed_bytes)} free again"
    for name in state.corrupt:
        yield f"damaged, and dropped: {name}"
