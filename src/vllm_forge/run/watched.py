"""What a step was made from, file by file: known again in milliseconds, and judged by content.

Folders of sources are watched whole, the names of files with them; of all else (torch's headers,
the toolkit's, the system's, compilers) the files that were really read.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec

from vllm_forge.run.files import sha256_of, write_atomically
from vllm_forge.run.toolchain import render_obeyed

RECIPES: Final = (".txt", ".cmake", ".in", ".py", ".jinja", ".j2")
"""Endings of what CMake reads or runs; the rest of a source folder is for compilers."""

Seen = tuple[int, int, int, str | None]
"""Size, mtime and ctime in ns, and the content's sha256. ctime cannot be set by any program."""

UNKNOWN: Final[Seen] = (0, 0, 0, "")
"""Of a file that was written while it may have been read: it counts as changed."""


@dataclass(frozen=True, slots=True)
class Root:
    """A folder that is watched whole, or only its entries `names`.

    With `recipes` the contents of what CMake reads or runs count, and the names of all files.
    `ours` is one that a build writes into.
    """

    folder: str
    names: tuple[str, ...] = ()
    recipes: bool = False
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Watched:
    """`inside` are files below the roots (None: the name alone counts), `outside` all others.

    `variables` are those that compilers obey, as they were.
    """

    roots: tuple[Root, ...] = ()
    inside: dict[str, Seen | None] = field(default_factory=dict)
    outside: dict[str, Seen] = field(default_factory=dict)
    variables: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What is different: by content (or gone), only by its times, by name below a root."""

    changed: tuple[str, ...]
    touched: tuple[str, ...]
    names: tuple[str, ...]
    variables: bool

    @property
    def matters(self) -> bool:
        return bool(self.changed or self.names or self.variables)


def watch(
    roots: Sequence[Root],
    outside: Iterable[str],
    environ: Mapping[str, str],
    known: Watched | None = None,
) -> Watched:
    """As everything is now; what is `known` and was not written since is not read again.

    The first time every byte is read: 0.1 s for csrc, 0.3 s with torch's headers, another second a
    GB of torch's libraries: a hard link from another environment changes their times as well. A
    file outside that is gone is left out.
    """
    before = known or Watched()
    inside: dict[str, Seen | None] = {}
    for root in roots:
        for path, entry in walk(root):
            only_name = root.recipes and not path.endswith(RECIPES)
            seen = before.inside.get(path)
            inside[path] = None if only_name else _see(path, entry.stat(), seen)
    found: dict[str, Seen] = {}
    for path in outside:
        if path not in inside:
            with suppress(OSError):
                stat = os.stat(path)  # noqa: PTH116 -- thousands of them
                found[path] = _see(path, stat, before.outside.get(path))
    return Watched(tuple(roots), inside, found, render_obeyed(environ))


def watch_again(watched: Watched, environ: Mapping[str, str]) -> Watched:
    """The same roots and files as they are now."""
    return watch(watched.roots, watched.outside, environ, watched)


def put_times_back(watched: Watched, touched: Iterable[str]) -> None:
    """Give files of ours that hold what they held the times they had: ninja goes by times.

    Only where we write anyway: project folders, torch and toolkits are not ours to write.
    """
    ours = tuple(f"{root.folder}{os.sep}" for root in watched.roots if root.ours)
    for path in touched:
        seen = watched.inside.get(path)
        if seen is not None and path.startswith(ours):
            with suppress(OSError):
                now = os.stat(path)  # noqa: PTH116 -- hundreds of them
                if now.st_mtime_ns > seen[1]:
                    os.utime(path, ns=(now.st_atime_ns, seen[1]))


def doubt_since(watched: Watched, moment: int) -> Watched:
    """Files outside that were written after `moment` (ns) count as changed from now on.

    They were looked at after they may have been read.
    """
    outside = {
        path: seen if seen[1] < moment else UNKNOWN for path, seen in watched.outside.items()
    }
    return replace(watched, outside=outside)


def find_first(watched: Watched) -> str | None:
    """The first file that is not as it was, None when all are; by names, sizes and times alone."""
    left = set(watched.inside)
    for root in watched.roots:
        for path, entry in walk(root):
            if path not in watched.inside:
                return path
            left.discard(path)
            seen = watched.inside[path]
            if seen is not None and _times(entry.stat()) != seen[:3]:
                return path
    if left:
        return min(left)
    for path, seen in watched.outside.items():
        try:
            if _times(os.stat(path)) != seen[:3]:  # noqa: PTH116 -- thousands of them
                return path
        except OSError:
            return path
    return None


def compare(watched: Watched, now: Watched) -> Change:
    """`now` is the same roots and files, as they are."""
    changed, touched = [], []
    for path, seen in {**watched.inside, **watched.outside}.items():
        found = now.inside.get(path, now.outside.get(path))
        if seen is None or found == seen:
            continue
        if found is None or seen[3] is None or found[3] != seen[3]:
            changed.append(path)
        else:
            touched.append(path)
    names = watched.inside.keys() ^ now.inside.keys()
    return Change(
        tuple(changed), tuple(touched), tuple(sorted(names)), watched.variables != now.variables
    )


def walk(root: Root) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    """Every file below it in order, but those of hidden folders and Python's own caches."""
    try:
        with os.scandir(root.folder) as top:
            entries = sorted(top, key=lambda one: one.name)
    except OSError:
        return
    for entry in entries:
        if not root.names or entry.name in root.names:
            yield from _below(entry)


def _below(entry: "os.DirEntry[str]") -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    if not entry.is_dir():
        if entry.is_file():
            yield entry.path, entry
        return
    if entry.name == "__pycache__" or entry.name[0] == ".":
        return
    with os.scandir(entry.path) as inner:
        for below in sorted(inner, key=lambda one: one.name):
            yield from _below(below)


def _times(stat: os.stat_result) -> tuple[int, int, int]:
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _see(path: str, stat: os.stat_result, before: Seen | None = None) -> Seen:
    times = _times(stat)
    if before is not None and before[:3] == times:
        return before
    try:
        return (*times, sha256_of(Path(path)))
    except OSError:
        return (*times, None)


def watched_file(receipts: Path, step: str) -> Path:
    return receipts / f"{step}-inputs.json"


def read_watched(receipts: Path, step: str) -> Watched | None:
    """None where there is none, or a damaged one: then the step is done again."""
    try:
        return msgspec.json.decode(watched_file(receipts, step).read_bytes(), type=Watched)
    except (OSError, msgspec.DecodeError):
        return None


def write_watched(receipts: Path, step: str, watched: Watched) -> None:
    write_atomically(watched_file(receipts, step), msgspec.json.encode(watched))
