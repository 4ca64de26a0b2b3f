"""Ninja over the planned targets, and each extension put where the package looks for it."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vllm_forge.records.codec import parse_json, render_json
from vllm_forge.records.plan import Compile
from vllm_forge.records.problem import Problem
from vllm_forge.run.files import write_atomically
from vllm_forge.run.ninja import (
    STATUS,
    LogEntry,
    Progress,
    compiling_below,
    cost_of,
    order_longest_first,
    parse_ninja_log,
    parse_status,
)
from vllm_forge.run.process import Worked, work
from vllm_forge.run.tools import build_variables, tool

OnProgress = Callable[[Progress, tuple[str, ...], int], None]
"""Finished and total edges, names being compiled, resident bytes below ninja."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """`bound_seconds` is max(longest edge + link, ΣCPU / jobs): nothing could have been faster."""

    worked: Worked
    extensions: tuple[Path, ...]
    edges: tuple[LogEntry, ...]
    peak_bytes: int
    bound_seconds: float


def compile_targets(
    action: Compile, *, log: Path, costs: Path, on_progress: OnProgress
) -> Compiled:
    """Build `action.targets` and install each as `action.modules` says.

    `costs` is where the seconds of each file are learned, so that the next build anywhere starts
    the longest first. ninja keeps every finished object: killed at any point, the next call goes
    on from there.

    Raises:
        Problem: exit 1 with the first failed edge's own output.
    """
    build = Path(action.build)
    learned = read_costs(costs)
    graph = build / "build.ninja"
    text = graph.read_text()
    ordered = order_longest_first(
        text, lambda source: cost_of(source, learned=learned, size=_size_of)
    )
    if ordered != text:
        stat = graph.stat()
        write_atomically(graph, ordered)
        os.utime(graph, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # else ninja configures again
    finished_before = len(_read_log(build))
    state = Watch(on_progress)
    worked = work(
        [tool("ninja"), "-C", build, f"-j{action.jobs}", *action.targets],
        log=log,
        env=build_variables(NINJA_STATUS=STATUS),
        on_line=state.hear,
        on_tick=state.look,
    )
    edges = _read_log(build)
    learn_costs(costs, edges, learned)
    if worked.code != 0:
        raise Problem(
            "the compile failed" if worked.code > 0 else "the compile was killed",
            causes=(*first_failed_edge(log.read_text(errors="replace")), f"log: {log}"),
        )
    fresh = edges[finished_before:] or edges
    return Compiled(
        worked=worked,
        extensions=_install(action),
        edges=edges,
        peak_bytes=state.peak_bytes,
        bound_seconds=bound(fresh, worked.cpu_seconds, action.jobs),
    )


class Watch:
    """What ninja says and what /proc shows, joined into progress."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._progress: Progress | None = None
        self.peak_bytes = 0

    def hear(self, line: str) -> None:
        self._progress = parse_status(line) or self._progress

    def look(self, process: int) -> None:
        names, resident = compiling_below(process)
        self.peak_bytes = max(self.peak_bytes, resident)
        if self._progress is not None or names:
            self._on_progress(self._progress or Progress(0, 0, ""), names, resident)


def bound(edges: tuple[LogEntry, ...], cpu_seconds: float, jobs: int) -> float:
    """max(longest compile + longest link, ΣCPU / jobs) in seconds."""
    objects = [edge.seconds for edge in edges if edge.output.endswith(".o")]
    links = [edge.seconds for edge in edges if edge.output.endswith(".so")]
    return max(max(objects, default=0.0) + max(links, default=0.0), cpu_seconds / max(1, jobs))


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


def read_costs(path: Path) -> dict[str, float]:
    """Seconds by source path below csrc; empty where nothing was learned or the file is damaged."""
    try:
        return parse_json(path.read_bytes(), dict[str, float], origin=str(path))
    except (OSError, Problem):
        return {}


def learn_costs(path: Path, edges: tuple[LogEntry, ...], known: Mapping[str, float]) -> None:
    """Remember how long each object took."""
    fresh = {
        edge.output[edge.output.find("csrc/") :].removesuffix(".o"): edge.seconds
        for edge in edges
        if edge.output.endswith(".o") and "csrc/" in edge.output
    }
    if fresh:
        write_atomically(path, render_json({**known, **fresh}))


def _install(action: Compile) -> tuple[Path, ...]:
    """Copy each extension beside its package, atomically: a running process keeps the old one."""
    placed: list[Path] = []
    for target, module in zip(action.targets, action.modules, strict=True):
        package = Path(action.source, *module.split(".")[:-1])
        found = sorted(Path(action.build).rglob(f"{target}*.so"))
        if not found:
            raise Problem(f"the target {target} was built but left no {target}*.so")
        place = package / found[0].name
        half = place.with_name(f".{place.name}.half")
        shutil.copy2(found[0], half)
        half.replace(place)
        placed.append(place)
    return tuple(placed)


def _read_log(build: Path) -> tuple[LogEntry, ...]:
    try:
        return parse_ninja_log((build / ".ninja_log").read_text(errors="replace"))
    except OSError:
        return ()


def _size_of(source: str) -> int:
    try:
        return Path(source).stat().st_size
    except OSError:
        return 0
