"""Which targets a changed file of the native sources can reach. When in doubt, it reaches.

CMake's own files reach everything. A header reaches what includes it, however deep; an include that
is neither beside its includer nor below csrc (the other folders are CMake's to know) means every
file whose path ends like it. What is neither C++ nor CUDA (generators, templates) reaches every
target that compiles a file of csrc. Of a target whose sources a fetched project lists, the include
folders are known: those that vLLM's own CMake defines look into csrc, and any header there reaches
them; those that the project's CMake defines do not.
"""

import posixpath
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from vllm_forge.records.release import Configured, ConfiguredTarget
from vllm_forge.release.generated_sources import read_leftovers, read_table
from vllm_forge.release.source_tree import sha256_of

INCLUDE: Final = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.MULTILINE)
HEADERS: Final = frozenset({".h", ".hh", ".hpp", ".cuh", ".inl", ".inc", ".ipp"})
SOURCES: Final = frozenset({".c", ".cc", ".cpp", ".cxx", ".cu"})
BESIDE: Final = frozenset({".md", ".rst", ".pyc", ".gitignore", "LICENSE"})
"""Suffixes, or whole names, of what no compile reads."""
INSIDE: Final = "csrc/"
SCRIPTS: Final = "csrc/**/generate*.py"
"""As CMake runs them in every release read (0.8 to 0.33)."""


def read_reach(
    root: Path, configured: Configured, changed: Collection[str]
) -> Mapping[str, tuple[str, ...]]:
    """Target → those of `changed` (relative to `root`, gone ones too) that can reach it, sorted."""
    told = set(changed)
    if not told:
        return {}
    files = told | {
        path.relative_to(root).as_posix()
        for path in (root / INSIDE).rglob("*")
        if path.suffix in HEADERS | SOURCES
    }
    graph = _Graph(root, files)
    reach = {
        target.name: tuple(sorted(_reaching(target, told, graph))) for target in configured.targets
    }
    return {name: found for name, found in reach.items() if found}


def read_generated_names(root: Path) -> frozenset[str]:
    """Paths that the tree's generator scripts write while CMake configures, as far as known.

    They are no edits: each configure writes them anew. A script that is not known by its sha256
    writes what is not known either.
    """
    table = read_table()
    return frozenset(
        (PurePosixPath(script.parent.relative_to(root).as_posix()) / below / file).as_posix()
        for script in root.glob(SCRIPTS)
        for file in read_leftovers(table, sha256_of(script))
        for below in ("", "generated")
    )


def _reaching(target: ConfiguredTarget, changed: set[str], graph: "_Graph") -> Iterable[str]:
    own = {source for source in target.sources if source.startswith(INSIDE)}
    fetched = len(own) < len(target.sources)
    included = graph.closure(own)
    for file in changed:
        suffix = PurePosixPath(file).suffix
        if {suffix, PurePosixPath(file).name} & BESIDE:
            continue
        if not file.startswith(INSIDE):
            yield file  # CMakeLists.txt and cmake/
        elif suffix in SOURCES | HEADERS:
            if file in included or (suffix in HEADERS and fetched):
                yield file
        elif own or fetched:
            yield file


class _Graph:
    """Includes between files; each is read at most once."""

    def __init__(self, root: Path, files: Collection[str]) -> None:
        self._root = root
        self._files = files
        self._by_name: dict[str, list[str]] = defaultdict(list)
        self._includes: dict[str, tuple[str, ...]] = {}
        for file in files:
            self._by_name[PurePosixPath(file).name].append(file)

    def closure(self, files: Collection[str]) -> set[str]:
        """These, and all they include."""
        seen = set(files)
        left = list(files)
        while left:
            for included in self._included_by(left.pop()):
                if included not in seen:
                    seen.add(included)
                    left.append(included)
        return seen

    def _included_by(self, file: str) -> tuple[str, ...]:
        if file not in self._includes:
            path = self._root / file
            text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
            self._includes[file] = tuple(
                found
                for mark, said in INCLUDE.findall(text)
                for found in self._meant(file, said, quoted=mark == '"')
            )
        return self._includes[file]

    def _meant(self, includer: str, said: str, *, quoted: bool) -> list[str]:
        """Beside the includer, else below csrc, else everything that ends like it.

        A file that is gone was meant until then, and whatever is meant now was not.
        """
        beside = [posixpath.normpath(posixpath.join(posixpath.dirname(includer), said))]
        meant = []
        for file in (*(beside if quoted else ()), posixpath.normpath(INSIDE + said)):
            if file in self._files:
                meant.append(file)
                if (self._root / file).is_file():
                    return meant
        tail = said.replace("../", "").removeprefix("./")
        ends = self._by_name[posixpath.basename(said)]
        return [*meant, *(file for file in ends if file.endswith(f"/{tail}"))]
