"""One place where entries lie. Several are asked in order, the home's own folder first."""

from pathlib import Path
from typing import Protocol


class Layer(Protocol):
    """Names are as `entries/ab/abcd…`. Whatever fails raises OSError; the store says it once."""

    label: str
    """For people: the folder, or the URL without what is secret in it."""

    writable: bool

    def read(self, name: str) -> bytes | None:
        """None for what is not there."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Whole or not at all."""
        ...

    def fetch(self, name: str, into: Path, size: int) -> bool:
        """Put a blob of `size` bytes into a new file, as quickly as can be."""
        ...

    def send(self, name: str, file: Path) -> None:
        """Keep a file as a blob."""
        ...

    def discard(self, name: str) -> None:
        """Gone, or never was there."""
        ...

    def used(self, name: str) -> None:
        """It was of use now; what is not is the first to go."""
        ...


def shard(kind: str, key: str) -> str:
    """Two digits of the key first: no folder becomes long.

    >>> shard("blobs", "abcdef")
    'blobs/ab/abcdef'
    """
    return f"{kind}/{key[:2]}/{key}"
