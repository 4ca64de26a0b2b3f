"""A compile past its peak gives the rest of its memory to the next, and is held to that."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from vllm_forge.records.schedule import CompileRecord
from vllm_forge.run.scheduler.learned import read_learned

if TYPE_CHECKING:
    from tests.real.scheduler.conftest import Graph

pytestmark = pytest.mark.slow

MIB = 1 << 20
TWO = {"a.cpp": "400 1.5 100 3", "b.cpp": "400 1.5 100 3"}
COSTS = dict.fromkeys(TWO, (4.5, 415))
ROOM = 700 * MIB
"""For one peak, and what the other holds after its own."""


def in_order(graph: "Graph") -> list[CompileRecord]:
    return sorted(graph.record.compiles, key=lambda one: one.started)


def test_the_next_starts_once_the_peak_is_past(make_graph: "Callable[..., Graph]") -> None:
    graph = make_graph(TWO)
    graph.learn(COSTS, dict.fromkeys(TWO, 120))
    code, said = graph.run(2, ROOM)
    assert code == 0, said
    first, second = in_order(graph)
    assert first.started + 1.0 < second.started < first.ended
    assert max(sample.resident_bytes for sample in graph.record.samples) < ROOM


def test_it_is_learned_and_then_used(make_graph: "Callable[..., Graph]") -> None:
    graph = make_graph(TWO)
    graph.learn(COSTS)
    graph.run(2, ROOM)
    first, second = in_order(graph)
    assert second.started >= first.ended, "nobody knows yet what comes after the peak"
    learned = read_learned(graph.folder / "costs.json")
    assert len(learned) == len(TWO)
    assert all(80 * MIB < (one.after_peak_bytes or 0) < 200 * MIB for one in learned.values())
    for name in TWO:
        (graph.folder / "CMakeFiles/_C.dir/csrc" / f"{name}.o").unlink()
    graph.run(2, ROOM)
    first, second = in_order(graph)
    assert second.started < first.ended


def test_one_that_grows_again_is_taken_at_its_peak(make_graph: "Callable[..., Graph]") -> None:
    """The next starts when the first is past its peak; the last waits for all of the first."""
    graph = make_graph({"a.cpp": "400 1.5 100 2 250 6", "b.cpp": "300 3", "c.cpp": "300 1"})
    costs = {"a.cpp": (9.5, 415), "b.cpp": (3.0, 315), "c.cpp": (1.0, 315)}
    graph.learn(costs, {"a.cpp": 120, "b.cpp": 10, "c.cpp": 10})
    code, said = graph.run(3, 560 * MIB)
    assert code == 0, said
    first, second, last = in_order(graph)
    assert second.ended < first.ended
    assert last.started >= first.ended
