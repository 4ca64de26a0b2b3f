"""What the artifact store keeps: an extension's inputs by name, and the extension itself."""

from dataclasses import dataclass

SCHEMA = 1
"""Part of every key: a change of what keys are made from leaves the old entries behind."""


@dataclass(frozen=True, slots=True)
class Reads:
    """What one extension was made from, by (root, path below it); contents are looked up.

    A root is a name (`tree`, `torch`) for a folder that lies elsewhere in another checkout; the
    empty one means an absolute path. In `folders`, names count too: a new header may come before an
    old one, a new source be globbed. `generated` are files of the tree that CMake writes while it
    configures, with their sha256: they may be absent, and must not differ.
    """

    files: tuple[tuple[str, str], ...]
    folders: tuple[tuple[str, str], ...] = ()
    generated: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One extension: `blob` is its sha256, `size` in bytes, `file` the name it is installed under.

    `run_path` is its library search path with roots for folders; `seconds` is the CPU time that
    compiling it took, `made` seconds since the epoch. `shallow` and `reads` lead here: the first
    key, and the digest of the `Reads` whose contents made the second.
    """

    target: str
    file: str
    blob: str
    size: int
    run_path: str
    seconds: float
    made: float
    shallow: str = ""
    reads: str = ""


@dataclass(frozen=True, slots=True)
class Counters:
    """What the store did so far: restored, took in, threw away as damaged."""

    hits: int = 0
    stored: int = 0
    corrupt: int = 0
    saved_cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class StoreState:
    """cli.md's `cache` document.

    `entries` are keys, `extensions` the distinct files behind them, `bytes` theirs. `dropped` are
    the entries a `prune` or `verify` took away, `corrupt` the extensions whose bytes were not what
    their name says, `freed_bytes` what is free again.
    """

    path: str
    entries: int
    extensions: int
    bytes: int
    counters: Counters
    dropped: int = 0
    freed_bytes: int = 0
    corrupt: tuple[str, ...] = ()
