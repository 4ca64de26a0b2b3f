"""What the native part of a tree is made from, told apart by content, quickly."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NATIVE = ("CMakeLists.txt", "cmake", "csrc")
"""What CMake reads of a vLLM tree, in every release read (0.8 to 0.33)."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """Two digests over the same files: `stat` of names, sizes and times; `content` of the bytes.

    An equal `stat` means nothing was written since; a different one with an equal `content` means
    files were touched and nothing changed.
    """

    stat: str
    content: str


def read_stat_digest(tree: Path) -> str:
    """A few milliseconds for the 600 files of csrc."""
    digest = hashlib.sha256()
    for name, entry in _files(tree):
        stat = entry.stat()
        digest.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def read_native_stats(tree: Path) -> dict[str, tuple[int, int]]:
    """Size and mtime (ns) of each native source, by name; empty where there is no tree."""
    if not tree.is_dir():
        return {}
    stats = ((name, entry.stat()) for name, entry in _files(tree))
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats}


def read_inputs(tree: Path) -> Inputs:
    """Both digests; reads every byte of the native sources (about 0.1 s)."""
    stat = read_stat_digest(tree)
    digest = hashlib.sha256()
    for name, entry in _files(tree):
        digest.update(f"{name}\0".encode())
        digest.update(hashlib.sha256(Path(entry.path).read_bytes()).digest())
    return Inputs(stat, digest.hexdigest())


def read_digests(tree: Path) -> dict[str, str]:
    """Each native file's path, relative to the tree, and its sha256, hex."""
    return {
        name: hashlib.sha256(Path(entry.path).read_bytes()).hexdigest()
        for name, entry in _files(tree)
    }


def is_native(name: str) -> bool:
    """Whether CMake reads a file of that path in a vLLM tree.

    >>> [is_native(name) for name in ("csrc/ops.h", "CMakeLists.txt", "vllm/csrc/ops.h")]
    [True, True, False]
    """
    return name.partition("/")[0] in NATIVE


def _files(tree: Path) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    with os.scandir(tree) as top:
        roots = {entry.name: entry for entry in top if entry.name in NATIVE}
    for name in NATIVE:
        if name in roots:
            yield from _walk(name, roots[name])


def _walk(name: str, entry: "os.DirEntry[str]") -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    if not entry.is_dir():
        yield name, entry
        return
    with os.scandir(entry.path) as inner:
        for below in sorted(inner, key=lambda one: one.name):
            yield from _walk(f"{name}/{below.name}", below)
