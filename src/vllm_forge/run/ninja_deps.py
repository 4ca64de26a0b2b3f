"""Ninja's own record of what each output read: .ninja_deps, which is quicker than `-t deps`.

Version 4, as ninja 1.7 to 1.13 writes it (deps_log.cc): records of a little-endian size with, in
its top bit, whether it holds the reads of an output; else it is a path, padded to four bytes and
followed by the complement of its number. The last record of an output counts.
"""

import os
import struct
from pathlib import Path
from typing import Final

SIGNATURE: Final = b"# ninjadeps\n"
VERSIONS: Final = {4}
READS: Final = 1 << 31
WORD: Final = 4


def read_ninja_deps(build: Path) -> dict[str, tuple[str, ...]]:
    """Output (as ninja names it) → absolute paths of what it read; empty where it cannot be told.

    Links in the build folder are followed: a compiler cache names the tree by one.
    """
    try:
        reads = parse_ninja_deps((build / ".ninja_deps").read_bytes())
    except OSError:
        return {}
    real: dict[str, str] = {}
    for paths in reads.values():
        for path in paths:
            if path not in real:
                real[path] = _absolute(build, path)
    return {output: tuple(real[path] for path in paths) for output, paths in reads.items()}


def parse_ninja_deps(data: bytes) -> dict[str, tuple[str, ...]]:
    """The log's content; what a death while writing left at its end is dropped, as ninja does."""
    start = len(SIGNATURE) + WORD
    if not data.startswith(SIGNATURE) or len(data) < start:
        return {}
    if struct.unpack_from("<I", data, len(SIGNATURE))[0] not in VERSIONS:
        return {}
    paths: list[str] = []
    reads: dict[str, tuple[str, ...]] = {}
    while start + WORD <= len(data):
        (size,) = struct.unpack_from("<I", data, start)
        start += WORD
        size, is_reads = size & ~READS, bool(size & READS)
        if start + size > len(data) or size % WORD:
            break
        if is_reads:
            output, _, _, *read = struct.unpack_from(f"<{size // WORD}I", data, start)
            if max((output, *read)) >= len(paths):
                break
            reads[paths[output]] = tuple(paths[number] for number in read)
        else:
            paths.append(data[start : start + size - WORD].rstrip(b"\0").decode(errors="replace"))
        start += size
    return reads


def _absolute(build: Path, path: str) -> str:
    if path.startswith("/"):
        return os.path.normpath(path)
    head, _, rest = path.partition("/")
    name, _, below = rest.partition("/")
    link = build / head / name
    if below and link.is_symlink():
        return os.path.normpath(f"{link.readlink()}/{below}")
    return os.path.normpath(f"{build}/{path}")
