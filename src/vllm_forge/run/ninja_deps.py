"""Ninja's own record of what each output read: .ninja_deps, which is quicker than `-t deps`.

Version 4, as ninja 1.7 to 1.13 writes it (deps_log.cc): records of a little-endian size with, in
its top bit, whether it holds the reads of an output; else it is a path, padded to four bytes and
followed by the complement of its number. The last record of an output counts.
"""

import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from vllm_forge.run.files import mtime_of

SIGNATURE: Final = b"# ninjadeps\n"
VERSIONS: Final = {4}
READS: Final = 1 << 31
WORD: Final = 4

Log = dict[str, tuple[int, tuple[str, ...]]]
"""Output → its time when it was made (ns), and what it read."""


@dataclass(frozen=True, slots=True)
class Deps:
    """Absolute paths of what one output was made from; `valid` as ninja sees it.

    ninja believes a record unless the output is gone, or was written after it.
    """

    files: tuple[str, ...]
    valid: bool


def read_ninja_deps(build: Path) -> dict[str, Deps]:
    """By output, as ninja names it; empty where it cannot be told.

    Links in the build folder are followed: a compiler cache names the tree by one.
    """
    try:
        stat = (build / ".ninja_deps").stat()
        log = _read(str(build), (stat.st_ino, stat.st_size, stat.st_mtime_ns))
    except OSError:
        return {}
    return {
        output: Deps(paths, 0 < (mtime_of(build / output) or 0) <= moment)
        for output, (moment, paths) in log.items()
    }


@lru_cache(maxsize=2)
def _read(build: str, _mark: tuple[int, int, int]) -> Log:
    """Absolute paths; read once as long as the file is the same."""
    place = _Place(build)
    log = parse_ninja_deps(Path(build, ".ninja_deps").read_bytes())
    return {
        output: (moment, tuple(map(place.absolute, paths)))
        for output, (moment, paths) in log.items()
    }


def parse_ninja_deps(data: bytes) -> Log:
    """The log's content; what a death while writing left at its end is dropped, as ninja does."""
    start = len(SIGNATURE) + WORD
    if not data.startswith(SIGNATURE) or len(data) < start:
        return {}
    if struct.unpack_from("<I", data, len(SIGNATURE))[0] not in VERSIONS:
        return {}
    paths: list[str] = []
    log: Log = {}
    while start + WORD <= len(data):
        (size,) = struct.unpack_from("<I", data, start)
        start += WORD
        size, is_reads = size & ~READS, bool(size & READS)
        if start + size > len(data) or size % WORD:
            break
        if is_reads:
            output, low, high, *read = struct.unpack_from(f"<{size // WORD}I", data, start)
            if max((output, *read)) >= len(paths):
                break
            log[paths[output]] = (high << 32 | low, tuple(paths[number] for number in read))
        else:
            paths.append(data[start : start + size - WORD].rstrip(b"\0").decode(errors="replace"))
        start += size
    return log


class _Place:
    """A build folder; each of its links is looked at once, each path is made absolute once."""

    def __init__(self, build: str) -> None:
        self._build = build
        self._known: dict[str, str] = {}
        self._begins: dict[str, str] = {}

    def absolute(self, path: str) -> str:
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = self._look(path)
        return known

    def _look(self, path: str) -> str:
        if path.startswith("/"):
            return os.path.normpath(path)
        head, _, rest = path.partition("/")
        name, _, below = rest.partition("/")
        if not below:
            return os.path.normpath(f"{self._build}/{path}")
        link = f"{self._build}/{head}/{name}"
        if link not in self._begins:
            self._begins[link] = os.readlink(link) if os.path.islink(link) else link  # noqa: PTH114, PTH115 -- thousands
        return os.path.normpath(f"{self._begins[link]}/{below}")
