"""What the native part of a tree is made from, told apart by content."""

import hashlib
from pathlib import Path
from typing import Final

from vllm_forge.run.watched import Root, walk, watch

NATIVE: Final = ("CMakeLists.txt", "cmake", "csrc")
"""What CMake reads of a vLLM tree, in every release read (0.8 to 0.33)."""


def read_native_digest(tree: Path) -> str:
    """Over names and contents of the native sources (about 0.1 s)."""
    lines = (f"{name}\0{digest}\n" for name, digest in read_digests(tree).items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_native_stats(tree: Path) -> dict[str, tuple[int, int]]:
    """Size and mtime (ns) of each native source, by name; empty where there is no tree."""
    stats = ((path, entry.stat()) for path, entry in walk(Root(str(tree), NATIVE)))
    return {
        str(Path(path).relative_to(tree)): (stat.st_size, stat.st_mtime_ns) for path, stat in stats
    }


def read_digests(tree: Path) -> dict[str, str]:
    """Each native file's path, relative to the tree, and its sha256, hex."""
    seen = watch((Root(str(tree), NATIVE),), (), {}).inside
    return {
        str(Path(path).relative_to(tree)): one[3]
        for path, one in seen.items()
        if one is not None and one[3] is not None
    }


def is_native(name: str) -> bool:
    """Whether CMake reads a file of that path in a vLLM tree.

    What Python keeps of a script that CMake ran is none: some sdists carry it (0.10.1).

    >>> [is_native(name) for name in ("csrc/ops.h", "CMakeLists.txt", "vllm/csrc/ops.h")]
    [True, True, False]
    """
    parts = name.split("/")
    return parts[0] in NATIVE and "__pycache__" not in parts
