"""The files a configure run sees: the tree, and folders that would be fetched.

Paths inside a run are not those of this machine: the tree is `/tree`, the build folder `/build`,
a fetched project `/build/_deps/NAME-src`, so that what is written down is the same everywhere.
"""

import posixpath
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from vllm_forge.release.source_tree import SourceTree, sha256_of

TREE: Final = "/tree"
BUILD: Final = "/build"
FETCHED: Final = f"{BUILD}/_deps"
OVERRIDES: Final = "/override"


class World:
    """Answers `if(EXISTS)`, `file(GLOB)` and `file(READ)`; `local` maps fetched names to folders.

    A project that has been fetched is taken to have whatever file it is asked for: what is in it
    is not known here, unless `local` has it.
    """

    def __init__(self, tree: SourceTree, local: dict[str, Path]) -> None:
        self._tree = tree
        self._local = local
        self._fetched: set[str] = set()
        self._targets: set[str] = set()
        self._generated: set[str] = set()
        self._cleared: set[str] = set()
        self._unknown: dict[str, str] = {}

    def exists(self, path: str) -> bool:
        if path.startswith(f"{OVERRIDES}/"):
            return True
        name = fetched_name(path)
        if name is not None:
            return name in self._fetched
        file = self.file(path)
        return file is not None and file.exists()

    def is_target(self, name: str) -> bool:
        return name in self._targets

    def add_target(self, name: str) -> None:
        self._targets.add(name)

    def fetch(self, name: str) -> None:
        self._fetched.add(name.lower())

    def generate(self, directory: str, files: tuple[str, ...] | None, script: str) -> None:
        """Files a script would write below `directory`; None where nobody knows which."""
        if files is None:
            self._unknown[directory] = script
        else:
            self._generated |= {f"{directory}/{file}" for file in files}

    def clear(self, directory: str, files: Iterable[str]) -> None:
        """Files below `directory` that lie there from an earlier build, and are not what counts."""
        self._cleared |= {f"{directory}/{file}" for file in files}

    def written(self) -> frozenset[str]:
        """Files that scripts write, relative to the tree."""
        return frozenset(map(relative_to_run, self._generated))

    def written_unseen(self, path: str) -> bool:
        """Whether a script of unknown output writes beside this file, relative to the tree."""
        return posixpath.dirname(f"{TREE}/{path}") in self._unknown

    def file(self, path: str) -> Path | None:
        """Where a run's path lies on this machine; None for what is not here."""
        path = posixpath.normpath(posixpath.join(TREE, path))
        if path == TREE or path.startswith(f"{TREE}/"):
            return self._tree.root / path.removeprefix(TREE).lstrip("/")
        folder = self._local.get(fetched_name(path) or "")
        if folder is None:
            return None
        return folder / path.removeprefix(f"{FETCHED}/").partition("/")[2]

    def read(self, path: str) -> str:
        file = self.file(path)
        return file.read_text(errors="replace") if file and file.is_file() else ""

    def sha256(self, path: str) -> str:
        file = self.file(path)
        return sha256_of(file) if file else ""

    def glob(self, base: str, pattern: str) -> list[str]:
        """Absolute paths, files that would be generated included.

        Where the folder is not here or a script of unknown output writes into it, the pattern
        itself stands among them: `why_open` says why.
        """
        path = posixpath.normpath(posixpath.join(base, pattern))
        folder, _, name = path.rpartition("/")
        here = self.file(folder)
        found = {f"{folder}/{file.name}" for file in here.glob(name)} if here else set()
        found -= self._cleared
        found |= {
            file
            for file in self._generated
            if posixpath.dirname(file) == folder and fnmatch(file, path)
        }
        return sorted(found) + ([path] if self.why_open(path) else [])

    def why_open(self, pattern: str) -> str | None:
        """Why a pattern may match files that are not known; None when it cannot."""
        if "*" not in pattern:
            return None
        if self.file(pattern) is None:
            return f"{relative_to_run(pattern)} is not in vLLM's tree"
        for directory, script in self._unknown.items():
            if pattern.startswith(f"{directory}/"):
                return f"{relative_to_run(script)} writes files that only running it shows"
        return None


def fetched_name(path: str) -> str | None:
    """`/build/_deps/flashmla-src/csrc/api.cpp` → flashmla."""
    if not path.startswith(f"{FETCHED}/"):
        return None
    folder = path.removeprefix(f"{FETCHED}/").partition("/")[0]
    return folder.removesuffix("-src") if folder.endswith("-src") else None


def relative_to_run(path: str) -> str:
    """As records have it: relative to the tree, or `NAME-src/…`."""
    return path.removeprefix(f"{TREE}/").removeprefix(f"{FETCHED}/")
