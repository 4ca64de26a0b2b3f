"""Digests of files, each read once; of large ones (compilers) remembered over processes."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from vllm_forge.run.files import write_atomically

LARGE: Final = 1 << 20
"""Bytes from which a digest is worth remembering."""


class Digests:
    """`memory` is a file; a remembered digest holds while inode, size, mtime and ctime do."""

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._seen: dict[str, str | None] = {}
        self._large: dict[str, tuple[str, str]] | None = None
        self._news = False

    def of(self, path: str | Path) -> str | None:
        """Hex sha256; None for what is no readable file."""
        name = os.fspath(path)
        if name not in self._seen:
            self._seen[name] = self._read(name)
        return self._seen[name]

    def forget(self) -> None:
        """Files may have been written since; large ones are told apart by their stat."""
        self._seen.clear()

    def keep(self) -> None:
        """Remember the large ones; where that cannot be written, they are read again."""
        if self._news and self._large is not None:
            with suppress(OSError):
                write_atomically(self._memory, msgspec.json.encode(self._large))
            self._news = False

    def _read(self, name: str) -> str | None:
        try:
            with open(name, "rb", buffering=0) as file:  # noqa: PTH123 -- thousands of them
                stat = os.fstat(file.fileno())
                if stat.st_size < LARGE:
                    return hashlib.sha256(file.read()).hexdigest()
                which = f"{stat.st_dev}:{stat.st_ino}"
                mark = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"
                known = self._remembered().get(which)
                if known is not None and known[0] == mark:
                    return known[1]
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                self._remembered()[which] = (mark, digest)
                self._news = True
                return digest
        except OSError:
            return None

    def _remembered(self) -> dict[str, tuple[str, str]]:
        if self._large is None:
            try:
                self._large = msgspec.json.decode(
                    self._memory.read_bytes(), type=dict[str, tuple[str, str]]
                )
            except (OSError, msgspec.DecodeError):
                self._large = {}
        return self._large


def digest_of(thing: object) -> str:
    """Hex sha256 over a value's JSON, keys in order."""
    return hashlib.sha256(msgspec.json.encode(thing, order="sorted")).hexdigest()
