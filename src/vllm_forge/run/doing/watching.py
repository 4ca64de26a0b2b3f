"""Around CMake and ninja: what they are given is watched, and what would mislead them put right."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import time_ns

from vllm_forge.records.doors import RunCommand
from vllm_forge.records.plan import Compile, Configure, Projects
from vllm_forge.run.doing.bring import PROJECT
from vllm_forge.run.doing.site import Site, action_of
from vllm_forge.run.freshen import Workpiece, end_attempts, freshen
from vllm_forge.run.inputs import NATIVE
from vllm_forge.run.ninja_deps import read_ninja_deps
from vllm_forge.run.toolchain import find_programs, identify
from vllm_forge.run.tools import tool
from vllm_forge.run.watched import (
    Root,
    Watched,
    compare,
    doubt_since,
    put_times_back,
    read_watched,
    watch,
    watch_again,
    write_watched,
)

HEADERS = (".h", ".hh", ".hpp", ".cuh", ".inl", ".inc")
USERS = frozenset({"folder", "variable"})
"""Origins of projects that the user may edit; what we fetched is watched by what is read of it."""


@dataclass
class Seen:
    """`identity` names the compilers by content; `watched` is there when the work has ended well.

    `namesakes` are headers of one name in several folders: which of them is read, an include path
    decides, and a compiler cache cannot see.
    """

    programs: tuple[str, ...]
    identity: str
    namesakes: tuple[str, ...] = ()
    restored_from: frozenset[str] = frozenset()
    """Files that extensions of the store were made from: set by who restores some."""
    watched: Watched = field(default_factory=Watched)


@contextmanager
def watching_cmake(site: Site) -> Iterator[Seen]:
    """What CMake reads or runs, and the names of all sources: it globs.

    It is written down when CMake has run, whichever step ran it. Sources that its run writes anew
    with what they held before keep their times.
    """
    source = action_of(site.plan, Configure).source
    tree = (Root(source, NATIVE, ours=True),)
    sources = watch(tree, (), {})
    programs, before = _look_at_recipes(site)
    yield Seen(programs, identity_of(before, programs))
    put_times_back(sources, compare(sources, watch(tree, (), {}, sources)).touched)
    after = watch(before.roots, (), os.environ, before)
    # A recipe that was written meanwhile may have been read before: the older look at it counts.
    inside = {path: before.inside.get(path) or found for path, found in after.inside.items()}
    watched = Watched(before.roots, inside, before.outside, before.variables)
    write_watched(site.doors.home.receipts(site.plan.key), _configure_step(site), watched)


def write_cmake_inputs(site: Site) -> None:
    """The same where CMake need not run."""
    _, watched = _look_at_recipes(site)
    write_watched(site.doors.home.receipts(site.plan.key), _configure_step(site), watched)


def _look_at_recipes(site: Site) -> tuple[tuple[str, ...], Watched]:
    action = action_of(site.plan, Configure)
    known = read_watched(site.doors.home.receipts(site.plan.key), _configure_step(site))
    programs = programs_of(action, site)
    roots = roots_of(site, action.source, recipes=True)
    return programs, watch(roots, programs, os.environ, known)


def _configure_step(site: Site) -> str:
    return next(step.name for step in site.plan.steps if isinstance(step.action, Configure))


@contextmanager
def watching_ninja(site: Site, action: Compile) -> Iterator[Seen]:
    """What compilers and linkers read; objects that ninja would wrongly keep are removed before."""
    receipts, build = site.doors.home.receipts(site.plan.key), Path(action.build)
    work = Workpiece(receipts / "compile-attempts.json", build)
    programs = programs_of(action_of(site.plan, Configure), site)
    roots = roots_of(site, action.source, recipes=False)
    before = read_watched(receipts, site.step.name)
    known = () if before is None else before.outside
    now = watch(roots, (*known, *programs), os.environ, before)
    if before is None:
        write_watched(receipts, site.step.name, now)
    else:
        freshen(work, before, now, compare(before, now))
        now = watch_again(now, os.environ)  # times were put back
    began = time_ns()
    seen = Seen(programs, identity_of(now, programs), namesakes_in(now))
    yield seen
    read = {path for deps in read_ninja_deps(build).values() for path in deps.files}
    read |= {*_linked(build, action.targets, site.doors.run), *seen.restored_from}
    own = f"{build}{os.sep}"
    outside = (
        path
        for path in (*programs, *sorted(read))
        if path not in now.inside and not path.startswith(own)
    )
    after = doubt_since(watch((), outside, {}, now), began)
    seen.watched = Watched(roots, now.inside, after.outside, now.variables)
    if not seen.restored_from:
        end_attempts(work)


def namesakes_in(watched: Watched) -> tuple[str, ...]:
    """Headers by their paths below their roots, where a name occurs more than once."""
    by_name: dict[str, list[str]] = {}
    for path in (one for one in watched.inside if one.endswith(HEADERS)):
        root = next(one.folder for one in watched.roots if path.startswith(f"{one.folder}/"))
        by_name.setdefault(path.rpartition("/")[2], []).append(path.removeprefix(root))
    return tuple(sorted(path for paths in by_name.values() if len(paths) > 1 for path in paths))


def roots_of(site: Site, source: str, *, recipes: bool) -> tuple[Root, ...]:
    """The tree's native part, and the project folders that the user gave."""
    folders = (
        site.facts.get(f"{PROJECT}{one.project.name}")
        for step in site.plan.steps
        if isinstance(step.action, Projects)
        for one in step.action.planned
        if one.origin in USERS
    )
    projects = (Root(folder, (), recipes) for folder in folders if folder)
    return (Root(source, NATIVE, recipes, ours=True), *projects)


def programs_of(action: Configure, site: Site) -> tuple[str, ...]:
    nvcc = action.definitions.get("CMAKE_CUDA_COMPILER")
    return find_programs(action.compiler, nvcc, site.doors.run)


def identity_of(watched: Watched, programs: tuple[str, ...]) -> str:
    """Of the compilers and what they obey."""
    digests = {name: watched.outside[name][3] for name in programs if name in watched.outside}
    return identify(digests, watched.variables)


def _linked(build: Path, targets: tuple[str, ...], run: RunCommand) -> Iterator[str]:
    """Files elsewhere that the targets are made of: sources, and libraries that are linked.

    None where all came from the store and nothing was configured.
    """
    said = run([tool("ninja"), "-C", build, "-t", "inputs", *targets])
    yield from (line for line in said.stdout.splitlines() if line.startswith("/"))
