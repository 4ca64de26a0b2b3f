"""From a finished build: which files one extension was really made from."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vllm_forge.records.store import Reads
from vllm_forge.run.ninja_deps import Deps
from vllm_forge.run.store.digests import Digests
from vllm_forge.run.store.graph import Target
from vllm_forge.run.store.roots import Roots

OWN: Final = ("tree", "project:")
"""Beginnings of the roots that a user edits: there, names count as well as contents."""

SOURCES: Final = frozenset({".c", ".cc", ".cpp", ".cxx", ".cu"})
GENERATORS: Final = frozenset({".py", ".jinja", ".jinja2", ".j2", ".in"})
"""What writes sources, or is made into one, while CMake configures."""

DERIVED: Final = frozenset({"build", "cmake"})
"""Roots of what CMake and we write from what is in the key already."""

LIBRARY = re.compile(r"-l(\S+)")
LIBRARY_FOLDER = re.compile(r"-L\s*(\S+)")


@dataclass(frozen=True, slots=True)
class Made:
    """A finished build's knowledge of one target. `cmake` are the files that CMake read."""

    target: Target
    deps: dict[str, Deps]
    cmake: tuple[str, ...]
    generated: frozenset[str]
    """Absolute paths of sources in the tree that CMake's run wrote."""


def reads_before_cmake(made: Made, roots: Roots, digests: Digests) -> Reads:
    """For a lookup that must not start CMake: what CMake read stands for what it made of it."""
    files = _pairs((*_compiled(made), *made.cmake), roots)
    files = {pair for pair in files if pair[0] not in DERIVED}
    generated = []
    for path in sorted(made.generated):
        pair = roots.split(path)
        files.discard(pair)
        generated.append((*pair, digests.of(path) or ""))
    own = _own_roots(files)
    if generated:
        files |= _generators(own, roots)
    return Reads(tuple(sorted(files)), tuple((root, "") for root in own), tuple(generated))


def reads_after_cmake(made: Made, roots: Roots) -> Reads:
    """For a lookup with the commands at hand: sources, headers, libraries; and their namesakes."""
    files = _pairs(_compiled(made), roots)
    return Reads(tuple(sorted(files)), tuple((root, "") for root in _own_roots(files)))


def _pairs(paths: Iterable[str], roots: Roots) -> set[tuple[str, str]]:
    """Without torch's libraries, for which the wheel's RECORD stands: they are linked by name."""
    found = {roots.split(path) for path in paths}
    return {(root, below) for root, below in found if root != "torch" or ".so" not in below}


def _compiled(made: Made) -> list[str]:
    """Sources, headers, and the libraries that were linked."""
    read = [path for one in made.deps.values() for path in one.files]
    return [*made.target.inputs, *read, *_libraries(made.target.commands)]


def _libraries(commands: Sequence[str]) -> list[str]:
    """Where -lNAME was found: in the -L folders; the compiler's own are part of its identity."""
    found = []
    for command in commands:
        folders = LIBRARY_FOLDER.findall(command)
        for name in LIBRARY.findall(command):
            places = (
                f"{folder}/lib{name}{ending}" for folder in folders for ending in (".so", ".a")
            )
            found += [place for place in places if Path(place).exists()][:1]
    return found


def _own_roots(files: Iterable[tuple[str, str]]) -> list[str]:
    return sorted({root for root, _ in files if root.startswith(OWN)})


def _generators(own: Iterable[str], roots: Roots) -> set[tuple[str, str]]:
    """Scripts and templates of the native sources and of projects, any of which may be run."""
    found = set()
    for root in own:
        top = roots.folder(root)
        for below in _walk(top, _native(root)):
            if Path(below).suffix in GENERATORS:
                found.add((root, below))
    return found


def names_that_count(
    root: str, top: Path, headers: frozenset[str], without: frozenset[str]
) -> list[str]:
    """Files whose coming or going can change a build: sources, and namesakes of headers read.

    `headers` are base names, `without` paths below `top` that CMake's run may write.
    """
    return [
        below
        for below in _walk(top, _native(root))
        if (Path(below).suffix in SOURCES or os.path.basename(below) in headers)  # noqa: PTH119
        and below not in without
    ]


def _native(root: str) -> tuple[str, ...]:
    return ("csrc", "cmake") if root == "tree" else ("",)


def _walk(top: Path, below: Iterable[str]) -> list[str]:
    """Paths below `top`, sorted; what is hidden (.git) is left out."""
    found: list[str] = []
    for start in below:
        for folder, folders, files in os.walk(top / start):
            folders[:] = [name for name in folders if not name.startswith(".")]
            inner = os.path.relpath(folder, top)
            found += [name if inner == "." else f"{inner}/{name}" for name in files]
    return sorted(found)
