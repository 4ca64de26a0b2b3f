"""Ninja over the planned targets, and each extension put where the package looks for it."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vllm_forge.records.plan import Compile
from vllm_forge.records.problem import Problem
from vllm_forge.records.schedule import Bound, CacheUse, ScheduleRecord
from vllm_forge.resolve.makespan import bound_of, peak_of
from vllm_forge.run.beside import install_beside
from vllm_forge.run.caches import OpenCache
from vllm_forge.run.caches.roots import with_folders
from vllm_forge.run.ninja import STATUS, Progress, parse_status
from vllm_forge.run.process import Worked, work
from vllm_forge.run.scheduler import Schedule, SchedulerSettings, Snapshot, scheduling
from vllm_forge.run.tools import build_variables, tool


@dataclass(frozen=True, slots=True)
class Kept:
    """Files beside the objects: ninja's output, what compiles cost here, this build's schedule."""

    log: Path
    costs: Path
    record: Path


@dataclass(frozen=True, slots=True)
class Hearers:
    """Who is told while it goes on: of progress, and of what the scheduler has to say."""

    progress: Callable[[Progress, Snapshot], None]
    note: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Compiled:
    """`extensions` are the installed files by target.

    `record` is None where nobody watched: the scheduler could not be started.
    """

    worked: Worked
    extensions: dict[str, Path]
    record: ScheduleRecord | None

    @property
    def bound(self) -> Bound | None:
        return None if self.record is None else bound_of(self.record)

    @property
    def cache_use(self) -> CacheUse | None:
        return None if self.record is None else self.record.cache

    @property
    def peak_bytes(self) -> int:
        """The most all compilers held together; where nobody watched, the largest single one."""
        return self.worked.peak_bytes if self.record is None else peak_of(self.record)


@dataclass(frozen=True, slots=True)
class Manner:
    """`variables` are those CMake was configured with: ninja runs it again when its files change.

    `cache` answers for the compilers; `finish` is called with each extension before it takes its
    place.
    """

    variables: Mapping[str, str]
    cache: OpenCache
    finish: Callable[[Path], None] = lambda _file: None


def compile_targets(action: Compile, kept: Kept, hearers: Hearers, manner: Manner) -> Compiled:
    """Build `action.targets` and install each as `action.modules` says.

    ninja is the graph's engine and asks for as many compiles as it has; the scheduler, through a
    launcher in front of every compiler, says which may start. ninja keeps every finished object:
    killed at any point, the next call goes on from there.

    Raises:
        Problem: exit 1 with the first failed edge's own output.
    """
    build, cache = Path(action.build), manner.cache
    settings = SchedulerSettings(
        build=build,
        costs=kept.costs,
        record=kept.record,
        launcher=Path(action.launcher),
        cores=action.jobs,
        memory_bytes=action.memory_bytes,
        ccache=cache.asks_again,
        read_cache_use=cache.read_use,
    )
    with scheduling(settings) as schedule:
        state = _Watch(schedule, hearers)
        worked = work(
            [tool("ninja"), "-C", build, f"-j{schedule.jobs}", *action.targets],
            log=kept.log,
            env=build_variables(
                **{
                    **manner.variables,
                    **cache.variables,
                    **schedule.variables,
                    "NINJA_STATUS": STATUS,
                }
            ),
            on_line=state.hear,
            on_tick=state.look,
        )
    for note in schedule.take_notes():
        hearers.note(note)
    if worked.code != 0:
        raise Problem(
            "the compile failed" if worked.code > 0 else "the compile was killed",
            causes=(
                *first_failed_edge(with_folders(kept.log.read_text(errors="replace"), cache.roots)),
                f"log: {kept.log}",
            ),
        )
    placed = _install(action, manner.finish)
    for target, module in zip(action.targets, action.modules, strict=True):
        if module.count(".") > 1:  # in a package of its own, which a project fills
            install_beside(build, target, Path(action.source), kept.log)
    return Compiled(worked, placed, schedule.record)


class _Watch:
    """What ninja says and what the scheduler sees, joined into progress."""

    def __init__(self, schedule: Schedule, hearers: Hearers) -> None:
        self._schedule = schedule
        self._hearers = hearers
        self._progress = Progress(0, 0, "")

    def hear(self, line: str) -> None:
        self._progress = parse_status(line) or self._progress

    def look(self, _process: int) -> None:
        for note in self._schedule.take_notes():
            self._hearers.note(note)
        now = self._schedule.look()
        if self._progress.total or now.at_work:
            self._hearers.progress(self._progress, now)


def first_failed_edge(said: str) -> tuple[str, ...]:
    r"""The output of the first edge that ninja framed with FAILED:, its errors first.

    >>> first_failed_edge("\x1e1 9\x1fFAILED: a.o\ng++ -c a.cpp\na.cpp:1:1: error: no\nninja: stop")
    ('FAILED: a.o', 'a.cpp:1:1: error: no')
    """
    lines = said.replace("\x1f", "\n").split("\n")  # splitlines would split at \x1e too
    starts = [place for place, line in enumerate(lines) if line.startswith("FAILED:")]
    if not starts:
        return tuple(line for line in lines if line.startswith("ninja:"))[:2]
    block = lines[starts[0] :]
    for place, line in enumerate(block[1:], start=1):
        if line.startswith(("\x1e", "ninja:", "FAILED:")):
            block = block[:place]
            break
    errors = [line for line in block if "error" in line.lower() or "Killed" in line]
    return (block[0], *(errors or block[2:])[:8])


def _install(action: Compile, finish: Callable[[Path], None]) -> dict[str, Path]:
    """Copy each extension beside its package, atomically: a running process keeps the old one."""
    placed: dict[str, Path] = {}
    for target, module in zip(action.targets, action.modules, strict=True):
        package = Path(action.source, *module.split(".")[:-1])
        build = Path(action.build)
        found = sorted(build.glob(f"{target}*.so")) or sorted(build.rglob(f"{target}*.so"))
        if not found:
            raise Problem(f"the target {target} was built but left no {target}*.so")
        place = package / found[0].name
        half = place.with_name(f".{place.name}.half")
        half.unlink(missing_ok=True)
        shutil.copy2(found[0], half)
        finish(half)
        half.replace(place)
        placed[target] = place
    return placed
