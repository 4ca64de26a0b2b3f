"""The scheduler against its bound, against plain ninja, and what its launcher costs.

    python -m scripts.bench_scheduler [--home DIR] [simulated] [hits] [cgroup]

`simulated`: 400 compiles drawn from the shipped table on a simulated clock. `hits`: 425 compiles
that end at once, with and without the launcher. `cgroup`: twelve real processes that hold real
memory in a memory cgroup of 2 GiB, by plain ninja at every -j and by the scheduler; needs root.
Nothing of a home is used.
"""

import argparse
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from scripts.memory_group import memory_group
from vllm_forge.records.codec import render_json
from vllm_forge.resolve.makespan import Job, bound_of, bound_of_jobs, place
from vllm_forge.run.process import run_command
from vllm_forge.run.scheduler import SchedulerSettings, make_launcher, scheduling
from vllm_forge.run.scheduler.learned import Learned
from vllm_forge.run.scheduler.predict import read_table
from vllm_forge.run.tools import build_variables, tool

GIB = 1 << 30
MIB = 1 << 20
PARTS = ("simulated", "hits", "cgroup")
FAKE = Path(__file__).parents[1] / "tests" / "real" / "scheduler" / "fake_compiler.py"
TWELVE = {**{f"file{number}.cpp": (580, 3.0) for number in range(11)}, "heavy.cpp": (1700, 6.0)}
"""What the twelve hold (MiB) and how long (s): the proportions of `_C` in 9 GB, in 2 GiB."""


def draw_jobs(count: int, seed: int, *, learned: bool) -> list[Job]:
    """Compiles as the table has them.

    `learned`: compiled here before, so that each one's cost is known; else each is predicted by its
    row of the table, as in a first build.
    """
    rows = read_table()
    chance = random.Random(seed)  # noqa: S311 -- the same draw each time is the point
    jobs = []
    for row in chance.choices(rows, weights=[row.files for row in rows], k=count):
        seconds, held = chance.uniform(*row.cpu_seconds), int(chance.uniform(*row.peak_bytes))
        predicted = (seconds, held) if learned else (sum(row.cpu_seconds) / 2, row.peak_bytes[1])
        jobs.append(Job(seconds, held, *predicted))
    return jobs


def simulated() -> None:
    print("simulated: 400 compiles from the table; makespan / bound, three draws each")
    print("                        learned                first build")
    for gibibytes in (2, 3, 4):
        for cores in (16, 32, 64):
            learned = [ratio_of(cores, gibibytes, seed, learned=True) for seed in range(3)]
            first = [ratio_of(cores, gibibytes, seed, learned=False) for seed in range(3)]
            said = "  ".join(f"{ratio:.3f}" for ratio in (*learned, *first))
            print(f"  {cores} cores, {gibibytes} GiB each   {said}")


def ratio_of(cores: int, gibibytes: int, seed: int, *, learned: bool) -> float:
    """Makespan over bound."""
    jobs = draw_jobs(400, seed, learned=learned)
    memory = cores * gibibytes * GIB
    makespan = max(one.end for one in place(jobs, cores=cores, memory_bytes=memory))
    return makespan / bound_of_jobs(jobs, cores=cores, memory_bytes=memory).seconds


def write_graph(folder: Path, command: str, sources: Mapping[str, str]) -> None:
    shutil.rmtree(folder / "CMakeFiles", ignore_errors=True)
    (folder / ".ninja_log").unlink(missing_ok=True)
    (folder / "csrc").mkdir(exist_ok=True)
    lines = [f"rule compile\n  command = {command} -O2 -c $in -o $out"]
    for name, said in sources.items():
        (folder / "csrc" / name).write_text(said)
        lines.append(f"build CMakeFiles/_C.dir/csrc/{name}.o: compile csrc/{name}")
    (folder / "build.ninja").write_text("\n".join([*lines, ""]))


def ninja(folder: Path, jobs: int, variables: Mapping[str, str], *more: str) -> tuple[int, float]:
    """(exit code, seconds)."""
    began = time.perf_counter()
    done = subprocess.run(
        [tool("ninja"), "-C", folder, f"-j{jobs}", *more],
        check=False,
        env=build_variables(**variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return done.returncode, time.perf_counter() - began


def settings_for(folder: Path, launcher: Path, cores: int) -> SchedulerSettings:
    return SchedulerSettings(
        build=folder,
        costs=folder / "costs.json",
        record=folder / "schedule.json",
        launcher=launcher,
        cores=cores,
    )


def hits(folder: Path, launcher: Path) -> None:
    cores = len(os.sched_getaffinity(0))
    print(f"hits: 425 compiles that end at once, {cores} at a time")
    sources = {f"file{number}.cpp": "" for number in range(425)}
    instant = folder / "instant-g++"
    text = folder / "instant.c"
    text.write_text(
        "#include <fcntl.h>\nint main(int count, char **words)"
        "{ return open(words[count - 1], O_CREAT | O_WRONLY, 0644) < 0; }\n"
    )
    subprocess.run(["gcc", "-O2", "-static", "-o", instant, text], check=True)
    lost = []
    for _ in range(5):
        write_graph(folder, str(instant), sources)
        plain_cpu, (_, plain) = cpu_seconds(), ninja(folder, cores, {})
        plain_cpu = cpu_seconds() - plain_cpu
        write_graph(folder, f"{launcher} {instant}", sources)
        ours_cpu = cpu_seconds()
        with scheduling(settings_for(folder, launcher, cores)) as schedule:
            _, ours = ninja(folder, schedule.jobs, schedule.variables)
        ours_cpu = cpu_seconds() - ours_cpu
        lost.append(ours - plain)
        print(
            f"  plain {plain:.2f} s ({plain_cpu:.2f} s CPU), ours {ours:.2f} s "
            f"({ours_cpu:.2f} s CPU): {ours - plain:+.2f} s"
        )
    each = statistics.median(lost) / 425 * 1000
    print(f"  median {statistics.median(lost):+.2f} s, {each:.2f} ms each")


def cpu_seconds() -> float:
    """Of this process and every one it has waited for."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def cgroup(folder: Path, launcher: Path) -> None:
    print("cgroup: 11 compiles of 595 MiB and one of 1715 MiB in 2 GiB, 8 slots")
    fake = folder / "fake-g++"
    fake.write_text(f"#!{sys.executable} -IS\n{FAKE.read_text()}")
    fake.chmod(0o755)
    sources = {name: f"{held} {seconds}" for name, (held, seconds) in TWELVE.items()}
    learned = {
        f"_C/csrc/{name}|c++ -O2": Learned(seconds, (held + 15) * MIB)
        for name, (held, seconds) in TWELVE.items()
    }
    with memory_group(2 * GIB) as group:
        if group is None:
            print("  did not run: no memory cgroup (version 1) can be made here")
            return
        surviving = []
        for jobs in (1, 2, 3, 4, 8):
            before = group.oom_kills
            write_graph(folder, str(fake), sources)
            code, seconds = ninja(folder, jobs, {}, "-k0")
            if code == 0:
                surviving.append(seconds)
            kills = group.oom_kills - before
            print(f"  ninja -j{jobs}: exit {code}, {seconds:.1f} s, {kills} OOM kills")
        (folder / "costs.json").write_text(render_json(learned))
        write_graph(folder, f"{launcher} {fake}", sources)
        before = group.oom_kills
        with scheduling(settings_for(folder, launcher, 8)) as schedule:
            code, seconds = ninja(folder, schedule.jobs, schedule.variables)
        kills = group.oom_kills - before
        assert schedule.record is not None  # noqa: S101 -- the schedule has ended
        # The fake compiler sleeps, so that the CPU term of the bound is not its own.
        bound = bound_of(schedule.record).seconds
        print(
            f"  scheduled:  exit {code}, {seconds:.1f} s, {kills} OOM kills; "
            f"{seconds / bound:.2f} × its bound, "
            f"{min(surviving) / seconds:.2f} × as fast as the best -j that survives"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART")
    parts = parser.parse_args().parts or PARTS
    if "simulated" in parts:
        simulated()
    with tempfile.TemporaryDirectory(prefix="forge-bench-") as name:
        folder = Path(name)
        launcher = make_launcher(folder / "forge-launch", "g++", run_command)
        for part, measure in (("hits", hits), ("cgroup", cgroup)):
            if part in parts:
                (folder / part).mkdir()
                measure(folder / part, launcher)


if __name__ == "__main__":
    main()
