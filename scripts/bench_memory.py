"""Real vLLM CUDA files in little memory: plain ninja at each -j, and the scheduler.

    python -m scripts.bench_memory [--home DIR] [--memory GB] [--slots N] [--jobs 8,3,2,1]

Twelve `_C` and `_moe_C` files of vLLM 0.10.1 for 8.9, one of them the heaviest, are compiled in a
memory cgroup (version 1, root): by the scheduler with the shipped table's predictions alone, and by
plain ninja at every -j, stopped at the first process that the kernel kills. Which compiles meet at
the heavy one's peak is a matter of order, so a -j that survives CMake's order is tried with the
heavy file at other places too: it is lucky where one of them is killed. The build folder is
configured first where the home has none. One to two hours on two cores.
"""

import argparse
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.configured_build import configure_build
from scripts.memory_group import MemoryGroup, memory_group
from vllm_forge.records.schedule import ScheduleRecord
from vllm_forge.resolve.makespan import bound_of
from vllm_forge.run.process import run_command
from vllm_forge.run.scheduler import SchedulerSettings, make_launcher, scheduling
from vllm_forge.run.tools import build_variables, tool

PLACES = (0, 2, 5)
"""Where else the heavy file stands among the others when a -j has survived CMake's order."""

HEAVY = "scaled_mm_c2x.cu"
TWELVE = 12
GIB = 1 << 30
OF_TARGETS = ("CMakeFiles/_C.dir/", "CMakeFiles/_moe_C.dir/")


@dataclass(frozen=True)
class File:
    """One compile as CMake would have it, without any launcher; run in the build folder's copy."""

    output: str
    command: str


@dataclass(frozen=True)
class Run:
    """How one build of the twelve went. `kills` counts processes the kernel killed for memory."""

    code: int
    seconds: float
    kills: int
    peak_bytes: int


def read_files(build: Path) -> list[File]:
    """The heavy file and eleven spread evenly over the others of both targets, in CMake's order."""
    said = run_command([tool("ninja"), "-C", build, "-t", "compdb"], timeout=60).stdout
    files = [
        File(entry["output"], _without_launcher(entry["command"]))
        for entry in json.loads(said)
        if entry["output"].startswith(OF_TARGETS) and entry["output"].endswith(".cu.o")
    ]
    others = [one for one in files if not is_heavy(one)]
    step = len(others) / (TWELVE - 1)
    chosen = [others[int(place * step)] for place in range(TWELVE - 1)]
    return [one for one in files if is_heavy(one) or one in chosen]


def is_heavy(one: File) -> bool:
    return one.output.endswith(f"/{HEAVY}.o")


def _without_launcher(command: str) -> str:
    words = command.split(" ")
    return " ".join(words[1:]) if words[0].endswith("/forge-launch") else command


def write_graph(folder: Path, files: Sequence[File], launcher: str) -> None:
    """A fresh build folder of the twelve alone."""
    lines = ["rule compile\n  command = $said"]
    for one in files:
        (folder / one.output).parent.mkdir(parents=True, exist_ok=True)
        said = f"{launcher}{one.command}".replace("$", "$$")
        lines += [f"build {one.output}: compile", f"  said = {said}"]
    (folder / "build.ninja").write_text("\n".join([*lines, ""]))


def ninja(
    folder: Path,
    jobs: int,
    group: MemoryGroup,
    variables: Mapping[str, str],
    *,
    until_kill: bool,
    wanted: str | None = None,
) -> Run:
    """Run it; with `until_kill` the first kill ends it: that build has failed.

    `wanted` is an output whose being made ends it well.
    """
    before = group.oom_kills
    group.forget_peak()
    began = time.perf_counter()
    process = subprocess.Popen(
        [tool("ninja"), "-C", folder, f"-j{jobs}"],
        env=build_variables(**variables),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    ended = threading.Event()
    made = threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            if wanted is not None and (folder / wanted).exists():
                made.set()
            if made.is_set() or (until_kill and group.oom_kills > before):
                os.killpg(process.pid, signal.SIGKILL)

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - began
    ended.set()
    watcher.join()
    group.end_others()
    kills = group.oom_kills - before
    return Run(0 if made.is_set() and not kills else code, seconds, kills, group.peak_bytes)


def told(name: str, run: Run) -> str:
    return (
        f"  {name:16} exit {run.code:3}, {run.seconds:7.1f} s, {run.kills} OOM kills, "
        f"peak {run.peak_bytes / GIB:.1f} GiB"
    )


def measure(
    files: Sequence[File], asked: argparse.Namespace, group: MemoryGroup, folder: Path
) -> None:
    print("\n".join(f"  {one.output}" for one in files))
    ours, record = scheduled(files, asked.slots, group, folder / "ours")
    bound = bound_of(record).seconds
    print(f"{told('scheduled', ours)}, {ours.seconds / bound:.2f} × its bound", flush=True)
    for note in record.notes:
        print(f"    {note}")
    for jobs in sorted((int(word) for word in asked.jobs.split(",")), reverse=True):
        where = folder / f"j{jobs}"
        whole = plain(f"ninja -j{jobs}", files, jobs, group, where / "whole")
        if whole.code != 0:
            continue
        ratio = f"{whole.seconds / ours.seconds:.2f} × as fast as -j{jobs}"
        if jobs == 1 or survives_anywhere(files, jobs, group, where):
            print(f"  {ratio}, the best that survives")
            return
        print(f"  {ratio}, which survives in some orders only", flush=True)


def plain(
    name: str,
    files: Sequence[File],
    jobs: int,
    group: MemoryGroup,
    where: Path,
    wanted: str | None = None,
) -> Run:
    """Plain ninja on these files in their order, until `wanted` is made or the first kill."""
    where.mkdir(parents=True)
    write_graph(where, files, "")
    run = ninja(where, jobs, group, {}, until_kill=True, wanted=wanted)
    print(told(name, run), flush=True)
    return run


def survives_anywhere(files: Sequence[File], jobs: int, group: MemoryGroup, folder: Path) -> bool:
    """Whether nothing is killed until the heavy file is made, wherever it stands."""
    [heavy] = [one for one in files if is_heavy(one)]
    others = [one for one in files if one is not heavy]
    for place in PLACES:
        order = [*others[:place], heavy, *others[place:]]
        name = f"-j{jobs}, heavy at {place}"
        if plain(name, order, jobs, group, folder / f"at{place}", heavy.output).code != 0:
            return False
    return True


def scheduled(
    files: Sequence[File], slots: int, group: MemoryGroup, folder: Path
) -> tuple[Run, ScheduleRecord]:
    folder.mkdir()
    launcher = make_launcher(folder / "forge-launch", "g++", run_command)
    write_graph(folder, files, f"{launcher} ")
    settings = SchedulerSettings(
        build=folder,
        costs=folder / "costs.json",
        record=folder / "schedule.json",
        launcher=launcher,
        cores=slots,
    )
    with scheduling(settings) as schedule:
        ours = ninja(folder, schedule.jobs, group, schedule.variables, until_kill=False)
    assert schedule.record is not None  # noqa: S101 -- the schedule has ended
    return ours, schedule.record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--memory", type=float, default=9.0, help="GB of the cgroup")
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--jobs", default="8,3,2,1")
    asked = parser.parse_args()
    print(f"memory: {TWELVE} CUDA files in {asked.memory} GB, {asked.slots} slots", flush=True)
    with tempfile.TemporaryDirectory(prefix="forge-bench-") as folder:
        files = read_files(configure_build(asked.home or Path(folder, "home")))
        with memory_group(int(asked.memory * 1e9)) as group:
            if group is None:
                print("  did not run: no memory cgroup (version 1) can be made here")
                return
            measure(files, asked, group, Path(folder))


if __name__ == "__main__":
    main()
