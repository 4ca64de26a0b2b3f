"""What breaks while compiles run, and what the build does then."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vllm_forge.records.schedule import Room, Running, Verdict, Waiting
from vllm_forge.resolve.admission import choose_admissions
from vllm_forge.run.scheduler import SchedulerSettings, scheduling
from vllm_forge.run.scheduler import floor as floor_module
from vllm_forge.run.tools import build_variables, tool

if TYPE_CHECKING:
    from tests.real.scheduler.conftest import Graph

pytestmark = [pytest.mark.compile, pytest.mark.acceptance]

EIGHT = {f"file{number}.cpp": "5 0.3" for number in range(8)}
HOLDER = """
import sys, time
from pathlib import Path
from vllm_forge.run.scheduler import SchedulerSettings, scheduling
folder = Path(sys.argv[1])
settings = SchedulerSettings(
    build=folder, costs=folder / "c", record=folder / "r", launcher=folder / "l", cores=2
)
with scheduling(settings) as schedule:
    print(*(f"{name}={value}" for name, value in schedule.variables.items()), flush=True)
    time.sleep(600)
"""


def test_the_broker_is_killed_and_the_build_goes_on(make_graph: "Callable[..., Graph]") -> None:
    graph = make_graph(EIGHT)
    graph.write(launched=True)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, graph.folder], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        variables = dict(word.split("=", 1) for word in holder.stdout.readline().split())
        variables["VLLM_FORGE_BROKER_JOBS"] = "2"
        with subprocess.Popen(
            [tool("ninja"), "-C", graph.folder, "-j8"],
            env=build_variables(**variables),
            stdout=subprocess.DEVNULL,
        ) as ninja:
            graph.wait_until(lambda: bool(graph.made), "the first object")
            holder.send_signal(signal.SIGKILL)
            most = 0
            while ninja.poll() is None:
                most = max(most, len(compilers(graph)))
                time.sleep(0.01)
    assert ninja.returncode == 0
    assert graph.made == set(EIGHT)
    assert most <= 2, "launchers share out the slots among themselves"


def compilers(graph: "Graph") -> list[str]:
    """Drivers, without the children that do their work."""
    own = [line for line in graph.processes() if "-IS" in line and "fake-g++" in line]
    files = {line.rpartition(" -o ")[2] for line in own}
    return sorted(files)


def test_a_failing_broker_lets_the_build_go_on(
    make_graph: "Callable[..., Graph]", monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    def choose(waiting: Sequence[Waiting], running: Sequence[Running], room: Room) -> Verdict:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise OverflowError("on the third question")
        return choose_admissions(waiting, running, room)

    monkeypatch.setattr(floor_module, "choose_admissions", choose)
    graph = make_graph(EIGHT)
    graph.write(launched=True)
    settings = settings_for(graph.folder, cores=2)
    with scheduling(settings) as schedule:
        done = subprocess.run(
            [tool("ninja"), "-C", graph.folder, "-j8"],
            check=False,
            env=build_variables(**schedule.variables),
            stdout=subprocess.DEVNULL,
        )
    assert done.returncode == 0
    assert graph.made == set(EIGHT)
    assert schedule.take_notes() == (
        "the scheduler failed (OverflowError: on the third question); the build goes on without it",
    )
    assert graph.record.degraded is not None


def settings_for(folder: Path, *, cores: int) -> SchedulerSettings:
    return SchedulerSettings(
        build=folder,
        costs=folder / "costs.json",
        record=folder / "schedule.json",
        launcher=folder / "launcher" / "forge-launch",
        cores=cores,
    )


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_every_process_within_two_seconds(
    make_graph: "Callable[..., Graph]", sign: signal.Signals
) -> None:
    graph = make_graph(dict.fromkeys(EIGHT, "5 30"))
    process = graph.start(3)
    graph.wait_until(lambda: len(compilers(graph)) == 3, "three compiles")
    began = time.monotonic()
    process.send_signal(sign)
    graph.wait_until(lambda: not graph.processes(), "every process to end")
    assert time.monotonic() - began < 2.0
    assert graph.made == set()


def test_ninja_killed_outright_leaves_no_compiler(make_graph: "Callable[..., Graph]") -> None:
    graph = make_graph(dict.fromkeys(EIGHT, "5 30"))
    process = graph.start(3)
    graph.wait_until(lambda: len(compilers(graph)) == 3, "three compiles")
    ninja = next(line for line in graph.processes() if "/ninja\0".strip("\0") in line.split()[1])
    began = time.monotonic()
    os.kill(int(ninja.partition(":")[0]), signal.SIGKILL)
    assert process.wait(timeout=5) != 0
    graph.wait_until(lambda: not graph.processes(), "every process to end")
    assert time.monotonic() - began < 3.0


def test_a_hanging_compile_is_said_and_can_be_ended(
    make_graph: "Callable[..., Graph]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(floor_module, "HANGING_SECONDS", 1.0)
    graph = make_graph({"hangs.cpp": "hang", "fine.cpp": "5 0.2"})
    graph.write(launched=True)
    with scheduling(settings_for(graph.folder, cores=2)) as schedule:
        ninja = graph.begin(
            [str(tool("ninja")), "-C", str(graph.folder), "-j8", "-k0"],
            build_variables(**schedule.variables),
        )
        notes: list[str] = []

        def said() -> bool:
            notes.extend(schedule.take_notes())
            return bool(notes)

        graph.wait_until(said, "the note")
        assert "_C/csrc/hangs.cpp has used no CPU for 1 s" in notes[0]
        graph.wait_until(lambda: bool(schedule.look().at_work[0].idle_seconds), "the board to know")
        [hangs] = schedule.look().at_work
        assert hangs.name == "_C/csrc/hangs.cpp"
        assert hangs.idle_seconds >= 1.0
        assert notes[0].endswith(f"kill -- -{hangs.group}")
        command = notes[0].partition("to end it: ")[2]
        assert subprocess.run(["bash", "-c", command], check=False).returncode == 0
        assert ninja.wait(timeout=10) != 0
    assert graph.made == {"fine.cpp"}
    ends = {one.command.file: one.code for one in graph.record.compiles}
    assert ends == {"csrc/fine.cpp": 0, "csrc/hangs.cpp": -signal.SIGTERM}


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSEGV])
def test_a_compiler_that_dies_is_tried_once_more(
    make_graph: "Callable[..., Graph]", sign: signal.Signals
) -> None:
    graph = make_graph({"dies.cpp": "5 30", "beside.cpp": "5 0.5"})
    process = graph.start(2)

    def drivers() -> list[int]:
        found = [line for line in graph.processes() if "fake-g++" in line and "dies.cpp" in line]
        return sorted(int(one.partition(":")[0]) for one in found if "forge-launch" not in one)

    for _ in range(2):
        graph.wait_until(lambda: len(drivers()) == 2, "the driver and its child")
        time.sleep(0.2)
        driver, child = drivers()
        os.kill(driver, sign)
        graph.wait_until(lambda: not {driver, child} & set(drivers()), "both to end")  # noqa: B023
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 128 + sign
    assert f"_C/csrc/dies.cpp died of {sign.name}" in said
    ends = [(one.attempt, one.code) for one in graph.record.compiles if "dies" in one.command.file]
    assert ends == [(1, -sign), (2, -sign)]
    assert graph.made == {"beside.cpp"}


def test_a_folder_without_room_for_a_socket(make_graph: "Callable[..., Graph]") -> None:
    graph = make_graph(EIGHT)
    graph.write(launched=True)
    (graph.folder / "forge-broker").write_text("in the way")
    with scheduling(settings_for(graph.folder, cores=2)) as schedule:
        assert schedule.variables == {}
        [note] = schedule.take_notes()
        assert "forge-broker" in note
        assert "2 run at once" in note
        done = subprocess.run(
            [tool("ninja"), "-C", graph.folder, f"-j{schedule.jobs}"],
            check=False,
            stdout=subprocess.DEVNULL,
        )
    assert done.returncode == 0
    assert graph.made == set(EIGHT)
