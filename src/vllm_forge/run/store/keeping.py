"""After a compile: prove what each extension was made from, and keep it under both keys."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import time
from typing import Final

from vllm_forge.records.problem import Problem
from vllm_forge.records.store import Entry, Reads
from vllm_forge.run.files import mtime_of, sha256_of
from vllm_forge.run.ninja_deps import Deps
from vllm_forge.run.scheduler.learned import read_learned
from vllm_forge.run.store.keys import deep_key
from vllm_forge.run.store.ledger import (
    Bench,
    read_ledger,
    record_objects,
    remove_stale,
    unproven,
)
from vllm_forge.run.store.reads import Made, reads_after_cmake, reads_before_cmake
from vllm_forge.run.store.roots import Roots
from vllm_forge.run.store.run_path import (
    BadElfError,
    read_run_path,
    without_folders,
    write_run_path,
)
from vllm_forge.run.store.shelf import Restored, Shelf

CMAKES_OWN: Final = re.compile(r"/share/cmake-\d[^/]*/")
"""Modules that come with CMake: its version stands for them."""


BUILD_ONLY: Final = ("torch", "toolkit", "environment", "build")
"""Roots whose folders serve an extension's run path in the build folder alone."""


def restore_by_commands(
    shelf: Shelf, restored: Restored, variables: Mapping[str, str], log: Path
) -> Restored:
    """What is not restored yet, by the commands of the configured build folder.

    CMake is let run again first where its files changed: old commands must find nothing.
    """
    missing = [name for name in shelf.modules if name not in restored.files]
    if not missing or not shelf.ninja.regenerate(variables, log):
        return Restored()
    return shelf.restore(shelf.look_again(missing))


@contextmanager
def ledger_of(shelf: Shelf, targets: Sequence[str]) -> Iterator[dict[str, Deps]]:
    """Around ninja: before, no object made from other contents; after, who was made from what.

    What is yielded is filled when the body has ended: each object with what it read.
    """
    bench = _bench(shelf)
    known = _deps(shelf, _objects(shelf, targets))
    times = {name: mtime_of(bench.build / name) for name in known}
    if known:
        remove_stale(bench, known, read_ledger(bench.build))
    deps: dict[str, Deps] = {}
    try:
        yield deps
    finally:
        shelf.digests.forget()
        with suppress(Problem, OSError):  # then nothing is proven, and nothing kept
            objects = _objects(shelf, targets)
            new = [one for one in objects if times.get(one) != mtime_of(bench.build / one)]
            deps |= {one: known[one] for one in objects if one in known}
            deps |= _deps(shelf, new)
            record_objects(bench, deps)


def finish_extension(roots: Roots, file: Path) -> None:
    """As CMake's install does: without the run path that served the build folder alone."""
    folders = tuple(str(roots.folder(name)) for name in BUILD_ONLY if roots.has(name))
    with suppress(BadElfError):
        now = read_run_path(file)
        kept = without_folders(now.text, folders)
        if kept != now.text:
            write_run_path(file, now, kept)


def keep(
    shelf: Shelf, installed: Mapping[str, Path], deps: Mapping[str, Deps], costs: Path
) -> list[str]:
    """Keep these extensions; the targets that are in the store now.

    An object that may be made from other contents than its files have now keeps its target out,
    and so does whatever goes wrong: the build itself is done.
    """
    seconds = read_seconds(costs)
    kept = []
    for name, file in installed.items():
        try:
            if _keep(shelf, name, file, deps, seconds.get(name, 0.0)):
                kept.append(name)
        except (Problem, OSError, BadElfError) as error:
            shelf.store.say(f"{file.name} is not kept in the store: {error}")
    shelf.digests.keep()
    return kept


def _keep(shelf: Shelf, name: str, file: Path, known: Mapping[str, Deps], seconds: float) -> bool:
    bench = _bench(shelf)
    ledger = read_ledger(bench.build)
    target = shelf.ninja.target(name)
    deps = {one: known[one] for one in target.objects if one in known}
    if set(deps) != set(target.objects) or unproven(bench, deps, ledger):
        return False
    cmake = (path for path in shelf.ninja.configured_from() if CMAKES_OWN.search(path) is None)
    read = tuple(str(bench.build / path) for path in cmake)
    made = Made(target, deps, read, frozenset(ledger.generated))
    entry = Entry(
        target=name,
        file=file.name,
        blob=sha256_of(file),
        size=file.stat().st_size,
        run_path=bench.roots.named(read_run_path(file).text),
        seconds=round(seconds, 1),
        made=time(),
    )
    before = reads_before_cmake(made, bench.roots, bench.digests)
    after = reads_after_cmake(made, bench.roots)
    ways = ((shelf.setting.before_cmake, before), (shelf.setting.after_cmake(target), after))
    kept = False
    for facts, reads in ways:
        found = _found(shelf, name, facts, reads)
        kept = found is not None and shelf.store.keep(*found, entry, file)
    return kept


def _found(
    shelf: Shelf, name: str, facts: Mapping[str, object], reads: Reads
) -> tuple[str, Reads, str] | None:
    shallow = shelf.key(name, facts)
    key = deep_key(shallow, reads, shelf.setting.roots, shelf.digests)
    return None if key is None else (shallow, reads, key)


def read_seconds(costs: Path) -> dict[str, float]:
    """CPU seconds of each target: what its files took when they were compiled last."""
    files: dict[str, float] = {}
    for key, learned in read_learned(costs).items():
        files[key.partition("|")[0]] = learned.cpu_seconds
    found: dict[str, float] = {}
    for name, seconds in files.items():
        target = name.partition("/")[0]
        found[target] = found.get(target, 0.0) + seconds
    return found


def _objects(shelf: Shelf, targets: Iterable[str]) -> list[str]:
    """Empty where ninja never ran."""
    if not (shelf.ninja.build / ".ninja_log").exists():
        return []
    return [one for name in targets for one in shelf.ninja.target(name).objects]


def _deps(shelf: Shelf, objects: Iterable[str]) -> dict[str, Deps]:
    """Of the objects that are there."""
    there = [one for one in objects if (shelf.ninja.build / one).exists()]
    return shelf.ninja.deps(there) if there else {}


def _bench(shelf: Shelf) -> Bench:
    return Bench(shelf.ninja.build, shelf.setting.roots, shelf.digests)
