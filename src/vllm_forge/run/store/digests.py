"""Digests of files, each read once; of large ones (compilers) remembered over processes."""

import hashlib
import os
from collections.abc import Callable, Hashable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar, cast

import msgspec

from vllm_forge.run.files import write_atomically

Answer = TypeVar("Answer")

LARGE: Final = 1 << 20
"""Bytes from which a digest is worth remembering."""


class Digests:
    """`memory` is a file; a remembered digest holds while inode, size, mtime and ctime do."""

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory
        self._seen: dict[str, tuple[str, str | None]] = {}
        self._sure: set[str] = set()
        self._answers: dict[Hashable, object] = {}
        self._large: dict[str, tuple[str, str]] | None = None
        self._news = False

    def of(self, path: str | Path) -> str | None:
        """Hex sha256; None for what is no readable file."""
        name = os.fspath(path)
        if name not in self._sure:
            self._sure.add(name)
            mark = _mark(name)
            if name not in self._seen or self._seen[name][0] != mark:
                self._seen[name] = (mark, self._read(name, mark) if mark else None)
        return self._seen[name][1]

    def once(self, key: Hashable, ask: Callable[[], Answer]) -> Answer:
        """What a program or a text says; asked again for another `key`, which holds its digest."""
        if key not in self._answers:
            self._answers[key] = ask()
        return cast("Answer", self._answers[key])

    def forget(self) -> None:
        """Files may have been written since: look again whether they were."""
        self._sure.clear()

    def keep(self) -> None:
        """Remember the large ones; where that cannot be written, they are read again."""
        if self._news and self._large is not None and self._memory is not None:
            with suppress(OSError):
                write_atomically(self._memory, msgspec.json.encode(self._large))
            self._news = False

    def _read(self, name: str, mark: str) -> str | None:
        try:
            with open(name, "rb", buffering=0) as file:  # noqa: PTH123 -- thousands of them
                if os.fstat(file.fileno()).st_size < LARGE:
                    return hashlib.sha256(file.read()).hexdigest()
                which, _, rest = mark.partition(" ")
                known = self._remembered().get(which)
                if known is not None and known[0] == rest:
                    return known[1]
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                self._remembered()[which] = (rest, digest)
                self._news = True
                return digest
        except OSError:
            return None

    def _remembered(self) -> dict[str, tuple[str, str]]:
        if self._large is None:
            self._large = {}
            if self._memory is not None:
                with suppress(OSError, msgspec.DecodeError):
                    said = self._memory.read_bytes()
                    self._large = msgspec.json.decode(said, type=dict[str, tuple[str, str]])
        return self._large


def _mark(name: str) -> str:
    """Device and inode, then size and times; empty for what is not there."""
    try:
        stat = os.stat(name)  # noqa: PTH116 -- thousands of them
    except OSError:
        return ""
    return f"{stat.st_dev}:{stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"


def digest_of(thing: object) -> str:
    """Hex sha256 over a value's JSON, keys in order."""
    return hashlib.sha256(msgspec.json.encode(thing, order="sorted")).hexdigest()
