"""A folder as a layer: the home's own, or one that several machines mount."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from vllm_forge.run.files import CACHE_TAG, write_atomically
from vllm_forge.run.store.linking import link

PATIENCE_SECONDS: Final = 20.0
"""Writers hold the lock for as long as one extension takes to copy."""


class FolderLayer:
    """The real `Layer` over a folder. Readers take no lock: everything appears by rename.

    What is being written lies under `tmp`, and is only written by whoever holds the lock: what is
    found there on taking it is a dead writer's, and removed.
    """

    def __init__(self, folder: Path, *, writable: bool = True) -> None:
        self.folder = folder
        self.label = str(folder)
        self.writable = writable

    def read(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        write_atomically(self.folder / name, data)

    def fetch(self, name: str, into: Path, size: int) -> bool:  # noqa: ARG002 -- a link has no size
        try:
            link(self.folder / name, into)
        except FileNotFoundError:
            return False
        return True

    def holds(self, name: str, file: Path) -> bool:
        """Whether the file is that blob itself, by a hard link."""
        try:
            return (self.folder / name).samefile(file)
        except OSError:
            return False

    def send(self, name: str, file: Path) -> None:
        place = self.folder / name
        if place.exists():
            return
        half = self.folder / "tmp" / f"{place.name}.{os.getpid()}"
        half.parent.mkdir(parents=True, exist_ok=True)
        half.unlink(missing_ok=True)
        link(file, half)
        place.parent.mkdir(parents=True, exist_ok=True)
        half.replace(place)

    def discard(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def used(self, name: str) -> None:
        with suppress(OSError):  # a read-only store's order of use is its owner's
            os.utime(self.folder / name)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One writer at a time.

        Raises:
            OSError: the folder cannot be written, or another holds it too long.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "lock")
        try:
            lock.acquire(timeout=PATIENCE_SECONDS, poll_interval=0.05)
        except Timeout as error:
            raise TimeoutError(f"{lock.lock_file} is held by another") from error
        try:
            shutil.rmtree(self.folder / "tmp", ignore_errors=True)
            tag = self.folder / "CACHEDIR.TAG"
            if not tag.exists():
                write_atomically(tag, CACHE_TAG)
            yield
        finally:
            lock.release()
