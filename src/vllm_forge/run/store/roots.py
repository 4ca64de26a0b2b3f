"""Names for the folders that lie elsewhere in another checkout, environment or home."""

import os
from collections.abc import Mapping
from pathlib import Path


class Roots:
    """`folders` by name; where one lies inside another, a path belongs to the inner one."""

    def __init__(self, folders: Mapping[str, str | Path]) -> None:
        self._folders = {name: os.path.normpath(folder) for name, folder in folders.items()}
        pairs = [(folder, name) for name, folder in self._folders.items()]
        pairs += [(os.path.realpath(folder), name) for folder, name in pairs]
        self._pairs = sorted(set(pairs), key=lambda pair: (-len(pair[0]), pair))
        self._split: dict[str, tuple[str, str]] = {}

    def split(self, path: str) -> tuple[str, str]:
        """(root, path below it); the root is empty for what lies under none.

        >>> Roots({"tree": "/a", "build": "/a/b"}).split("/a/b/../b/c.h")
        ('build', 'c.h')
        >>> Roots({"tree": "/a"}).split("/ab/c.h")
        ('', '/ab/c.h')
        """
        known = self._split.get(path)  # the objects of one target read the same headers
        if known is None:
            known = self._split[path] = self._look(os.path.normpath(path))
        return known

    def _look(self, plain: str) -> tuple[str, str]:
        for folder, name in self._pairs:
            if plain.startswith(folder) and plain[len(folder) : len(folder) + 1] in {"/", ""}:
                return name, plain[len(folder) + 1 :]
        return "", plain

    def join(self, root: str, path: str) -> str:
        """The way back. KeyError for a root that there is none of here."""
        return f"{self._folders[root]}/{path}" if root else path

    def folder(self, root: str) -> Path:
        return Path(self._folders[root])

    def has(self, root: str) -> bool:
        return not root or root in self._folders

    def named(self, text: str) -> str:
        """The text with names in place of folders.

        >>> Roots({"tree": "/a", "build": "/a/b"}).named("-I/a/csrc -o /a/b/x.o")
        '-I{tree}/csrc -o {build}/x.o'
        """
        for folder, name in self._pairs:
            text = text.replace(folder, f"{{{name}}}")
        return text

    def placed(self, text: str) -> str:
        """Folders in place of names; the way back."""
        for name, folder in self._folders.items():
            text = text.replace(f"{{{name}}}", folder)
        return text
