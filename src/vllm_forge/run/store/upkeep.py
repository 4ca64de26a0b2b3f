"""What a store's folder holds, and how it stays in bounds and sound."""

import os
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from vllm_forge.records.store import Counters, Entry, StoreState
from vllm_forge.run.files import sha256_of, write_atomically
from vllm_forge.run.store.folder import FolderLayer
from vllm_forge.run.store.layer import shard

COUNTERS: Final = "counters.json"


@dataclass(frozen=True, slots=True)
class Held:
    """One entry as it lies there. `used` in seconds since the epoch, by the store's clock."""

    key: str
    entry: Entry
    used: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What may stay: bytes in all, and seconds without use; None sets no limit."""

    most_bytes: int | None = None
    oldest_seconds: float | None = None


def read_state(layer: FolderLayer) -> StoreState:
    held = list(_held(layer))
    blobs = {one.entry.blob: one.entry.size for one in held}
    return StoreState(
        path=layer.label,
        entries=len(held),
        extensions=len(blobs),
        bytes=sum(blobs.values()),
        counters=read_counters(layer),
    )


def prune(layer: FolderLayer, limits: Limits, now: float, *, dry_run: bool = False) -> StoreState:
    """Drop what was not used for too long, then what was used longest ago, then what is orphaned.

    A time of use in the future (the clock was set back) counts as now: nothing is dropped for it.

    Raises:
        OSError: the folder cannot be written.
    """
    untouched = dry_run or not layer.folder.exists()
    with nullcontext() if untouched else layer.writing():
        held = sorted(_held(layer), key=lambda one: (min(one.used, now), one.key), reverse=True)
        kept, dropped = choose_kept(held, limits, now)
        if untouched:
            stay = {one.entry.blob: one.entry.size for one in kept}
            gone = {one.entry.blob: one.entry.size for one in dropped if one.entry.blob not in stay}
            return replace(read_state(layer), dropped=len(dropped), freed_bytes=sum(gone.values()))
        for one in dropped:
            layer.discard(shard("entries", one.key))
        freed = _drop_orphans(layer, kept)
        return replace(read_state(layer), dropped=len(dropped), freed_bytes=freed)


def choose_kept(held: Sequence[Held], limits: Limits, now: float) -> tuple[list[Held], list[Held]]:
    """(stays, goes), of entries in the order of their last use, the youngest first."""
    kept: list[Held] = []
    dropped: list[Held] = []
    sizes: dict[str, int] = {}
    full = False
    for one in held:
        with_it = {**sizes, one.entry.blob: one.entry.size}
        old = limits.oldest_seconds is not None and now - one.used > limits.oldest_seconds
        full = full or (limits.most_bytes is not None and sum(with_it.values()) > limits.most_bytes)
        if old or (full and one.entry.blob not in sizes):
            dropped.append(one)
        else:
            kept.append(one)
            sizes = with_it
    return kept, dropped


def verify(layer: FolderLayer) -> StoreState:
    """Hash every blob again; drop the damaged ones with their entries, and entries without one.

    Raises:
        OSError: the folder cannot be written.
    """
    if not layer.folder.exists():
        return read_state(layer)
    with layer.writing():
        damaged: dict[str, str] = {}
        sound: set[str] = set()
        for path in _files(layer, "blobs"):
            with suppress(OSError):
                if sha256_of(path) == path.name:
                    sound.add(path.name)
                else:
                    damaged[path.name] = path.name
                    path.unlink()
        dropped = [one for one in _held(layer) if one.entry.blob not in sound]
        for one in dropped:
            layer.discard(shard("entries", one.key))
            if one.entry.blob in damaged:
                damaged[one.entry.blob] = f"{one.entry.file} ({one.entry.blob[:12]})"
        count(layer, corrupt=len(damaged))
        state = replace(read_state(layer), dropped=len(dropped))
        return replace(state, corrupt=tuple(sorted(damaged.values())))


def read_counters(layer: FolderLayer) -> Counters:
    try:
        return msgspec.json.decode((layer.folder / COUNTERS).read_bytes(), type=Counters)
    except (OSError, msgspec.DecodeError):
        return Counters()


def count(layer: FolderLayer, **more: float) -> None:
    """Add to the counters; the caller holds the lock.

    Raises:
        OSError: the folder cannot be written.
    """
    now = read_counters(layer)
    added = {name: getattr(now, name) + value for name, value in more.items()}
    write_atomically(layer.folder / COUNTERS, msgspec.json.encode(replace(now, **added)))


def _held(layer: FolderLayer) -> Iterator[Held]:
    """Damaged entries are dropped from sight: the next keep writes them anew."""
    for path in _files(layer, "entries"):
        with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
            entry = msgspec.json.decode(path.read_bytes(), type=Entry)
            yield Held(path.name, entry, path.stat().st_mtime)


def _files(layer: FolderLayer, kind: str) -> Iterator[Path]:
    """Those that carry a key; halves of dead writers begin with a dot."""
    for folder, _, files in os.walk(layer.folder / kind):
        yield from (Path(folder, name) for name in files if not name.startswith("."))


def _drop_orphans(layer: FolderLayer, kept: Sequence[Held]) -> int:
    """Remove what no kept entry needs, halves of dead writers among it; bytes that are free now."""
    wanted = {
        "entries": {one.key for one in kept},
        "blobs": {one.entry.blob for one in kept},
        "lists": {one.entry.shallow for one in kept},
        "reads": {one.entry.reads for one in kept},
    }
    freed = 0
    for kind, names in wanted.items():
        for folder, _, files in os.walk(layer.folder / kind):
            for path in (Path(folder, name) for name in files if name not in names):
                with suppress(OSError):
                    freed += path.stat().st_size
                    path.unlink()
    return freed
