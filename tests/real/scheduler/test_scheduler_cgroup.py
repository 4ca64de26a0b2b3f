"""Twelve compiles in a memory cgroup where plain ninja is OOM-killed."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vllm_forge.run.scheduler.learned import read_learned

if TYPE_CHECKING:
    from tests.real.scheduler.conftest import Graph

pytestmark = [pytest.mark.slow, pytest.mark.acceptance]

MIB = 1 << 20
ORDINARY = {f"file{number}.cpp": "230 1.5" for number in range(11)}
TWELVE = {**ORDINARY, "heavy.cpp": "700 2"}
COSTS = {**dict.fromkeys(ORDINARY, (1.5, 245)), "heavy.cpp": (2.0, 715)}
"""What the fake compiler takes, with 15 MiB for its two Pythons."""


def killed(group: Path) -> int:
    said = (group / "memory.oom_control").read_text().split()
    return int(said[said.index("oom_kill") + 1])


def test_plain_ninja_is_killed(make_graph: "Callable[..., Graph]", gibibyte_group: Path) -> None:
    graph = make_graph(TWELVE, gibibyte_group)
    assert graph.stock(8) != 0
    assert killed(gibibyte_group) > 0
    assert graph.made < set(TWELVE)


def test_scheduled_by_learned_costs_nothing_is_killed(
    make_graph: "Callable[..., Graph]", gibibyte_group: Path
) -> None:
    graph = make_graph(TWELVE, gibibyte_group)
    graph.learn(COSTS)
    code, said = graph.run(8)
    assert code == 0, said
    assert killed(gibibyte_group) == 0
    assert graph.made == set(TWELVE)
    record = graph.record
    assert max(sample.running for sample in record.samples) == 3  # 896 MiB hold three ordinary ones
    assert record.compiles[0].slot == 0
    assert {one.predicted.origin for one in record.compiles} == {"learned"}
    first = min(record.compiles, key=lambda one: one.started)
    assert first.command.file == "csrc/heavy.cpp"
    assert any("GiB" in (one.waited_for or "") for one in record.compiles)


def test_scheduled_without_knowledge_nothing_is_killed(
    make_graph: "Callable[..., Graph]", gibibyte_group: Path
) -> None:
    names = list(ORDINARY)[:4]
    graph = make_graph(dict.fromkeys(names, "230 0.5"), gibibyte_group)
    code, said = graph.run(8)
    assert code == 0, said
    assert killed(gibibyte_group) == 0
    assert {one.predicted.origin for one in graph.record.compiles} == {"guessed"}
    learned = read_learned(graph.folder / "costs.json")
    assert set(learned) == {f"_C/csrc/{name}|c++ -O2" for name in names}
    assert all(220 * MIB < one.peak_bytes < 280 * MIB for one in learned.values())


def test_killed_for_memory_is_retried_alone_and_remembered(
    make_graph: "Callable[..., Graph]", gibibyte_group: Path
) -> None:
    sources = {**dict.fromkeys(list(ORDINARY)[:4], "230 4"), "heavy.cpp": "700 5"}
    graph = make_graph(sources, gibibyte_group)
    graph.learn({**dict.fromkeys(sources, (4.0, 245)), "heavy.cpp": (5.0, 100)})  # it has grown
    code, said = graph.run(8)
    assert code == 0, said
    assert graph.made == set(sources)
    assert killed(gibibyte_group) > 0
    assert "died of SIGKILL at" in said
    compiles = graph.record.compiles
    again = [one for one in compiles if one.attempt == 2]
    assert again
    for one in again:
        beside = [
            other.command.file
            for other in compiles
            if other is not one and other.started < one.ended and other.ended > one.started
        ]
        assert beside == [], "it ran alone"
    learned = read_learned(graph.folder / "costs.json")
    assert learned["_C/csrc/heavy.cpp|c++ -O2"].peak_bytes > 700 * MIB


def test_one_that_cannot_fit_is_said_before_it_starts(
    make_graph: "Callable[..., Graph]", gibibyte_group: Path
) -> None:
    graph = make_graph({"a.cpp": "10 0.3", "vast.cpp": "10 0.2"}, gibibyte_group)
    graph.learn({"a.cpp": (0.3, 25), "vast.cpp": (9.0, 2000)})
    code, said = graph.run(2)
    assert code == 0
    assert "_C/csrc/vast.cpp needs about 2.0 GiB and there are 0.9 GiB at most" in said
    by_file = {one.command.file: one for one in graph.record.compiles}
    assert by_file["csrc/vast.cpp"].started >= by_file["csrc/a.cpp"].ended
