"""The artifact store: look through the layers, restore what is there, keep what was compiled.

Nothing here stops a build: a layer that fails is said once and left alone from then on.
"""

import re
import zlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from vllm_forge.records.store import Entry, Reads
from vllm_forge.run.files import sha256_of
from vllm_forge.run.store.digests import Digests, digest_of
from vllm_forge.run.store.folder import FolderLayer
from vllm_forge.run.store.keys import deep_key
from vllm_forge.run.store.layer import Layer, shard
from vllm_forge.run.store.roots import Roots
from vllm_forge.run.store.run_path import BadElfError, read_run_path, set_run_path
from vllm_forge.run.store.upkeep import count

T = TypeVar("T")

BLOB: Final = re.compile("[0-9a-f]{64}")

MOST_LISTS: Final = 16
"""Sets of files remembered under one shallow key: an edit of an #include makes a new one."""


@dataclass(frozen=True, slots=True)
class Found:
    """An entry, the layer that has it, and the way that led there."""

    shallow: str
    reads: Reads
    key: str
    entry: Entry
    layer: Layer


class Store:
    """`layers` are asked in this order; the first is filled from the others.

    `digests` are those of the files that entries are looked up by; read once for all steps.
    """

    def __init__(
        self,
        layers: Sequence[Layer] = (),
        note: Callable[[str], None] = lambda _message: None,
        digests: Digests | None = None,
    ) -> None:
        self.digests = digests or Digests()
        self._layers = list(layers)
        self._note = note
        self._unwritable: set[str] = set()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Those that answer still."""
        return tuple(self._layers)

    @property
    def exists(self) -> bool:
        """Whether it is worth computing a key."""
        return bool(self._layers)

    def say(self, message: str) -> None:
        """To whoever watches the build."""
        self._note(message)

    def find(self, shallow: str, roots: Roots) -> Found | None:
        """What was made from these very contents; nothing is restored yet."""
        for layer in self.layers:
            try:
                found = _find_in(layer, shallow, roots, self.digests)
            except OSError as error:
                self._drop(layer, error)
                continue
            if found is not None:
                return found
        return None

    def restore(self, found: Found, package: Path, roots: Roots) -> Path | None:
        """Put the extension into its package, atomically; None when it is damaged or gone.

        Raises:
            OSError: `package` cannot be written.
        """
        entry, layer = found.entry, found.layer
        place = package / entry.file
        if self._stands(found, place, roots):
            _use(found)
            return place
        half = package / f".{entry.file}.half"
        half.unlink(missing_ok=True)
        if not self._fetch(found, half):
            return None
        try:
            if layer is not self._layers[0]:
                self._keep_in(self._layers[0], found, half)
            set_run_path(half, roots.placed(entry.run_path))
            half.replace(place)
        except BadElfError as error:
            self._note(f"{entry.file} of {layer.label} cannot lie here: {error}")
            return None
        finally:
            half.unlink(missing_ok=True)
        _use(found)
        self._count(hits=1, saved_cpu_seconds=entry.seconds)
        return place

    def _stands(self, found: Found, place: Path, roots: Roots) -> bool:
        """Whether it lies there already, as after an edit that touched another target.

        What is no link into the store is not read for that: it is replaced.
        """
        layer, blob = found.layer, found.entry.blob
        linked = isinstance(layer, FolderLayer) and layer.holds(shard("blobs", blob), place)
        if not linked or self.digests.of(place) != blob:
            return False
        with suppress(OSError, BadElfError):
            return read_run_path(place).text == roots.placed(found.entry.run_path)
        return False

    def keep(self, shallow: str, reads: Reads, key: str, entry: Entry, file: Path) -> bool:
        """Into every layer that can be written; whether one has it now."""
        kept = [
            self._keep_in(layer, Found(shallow, reads, key, entry, layer), file)
            for layer in self.layers
        ]
        self._count(stored=any(kept))
        return any(kept)

    def _fetch(self, found: Found, half: Path) -> bool:
        """The blob's bytes, proven by their digest."""
        entry, layer = found.entry, found.layer
        try:
            there = layer.fetch(shard("blobs", entry.blob), half, entry.size)
        except OSError as error:
            half.unlink(missing_ok=True)
            self._drop(layer, error)
            return False
        if there and sha256_of(half) == entry.blob:
            return True
        half.unlink(missing_ok=True)
        if there:
            self._note(f"{layer.label}: {entry.file} is damaged there; discarded")
            self._count(corrupt=1)
        if layer.writable:
            with suppress(OSError):
                layer.discard(shard("entries", found.key))
                layer.discard(shard("blobs", entry.blob))
        return False

    def _keep_in(self, layer: Layer, found: Found, file: Path) -> bool:
        if not layer.writable or layer.label in self._unwritable:
            return False
        try:
            with _writing(layer):
                layer.send(shard("blobs", found.entry.blob), file)
                _add_reads(layer, found.shallow, found.reads)
                entry = replace(found.entry, shallow=found.shallow, reads=digest_of(found.reads))
                layer.write(shard("entries", found.key), msgspec.json.encode(entry))
        except OSError as error:
            self._unwritable.add(layer.label)
            self._note(f"nothing is kept in the store {layer.label}: {said_by(error)}")
            return False
        return True

    def _count(self, **more: float) -> None:
        """For `cache stats`, where the first layer is a folder that can be written."""
        first = self._layers[0] if self._layers else None
        if isinstance(first, FolderLayer) and first.label not in self._unwritable:
            with suppress(OSError), first.writing():
                count(first, **more)

    def _drop(self, layer: Layer, error: OSError) -> None:
        if layer in self._layers:
            self._layers.remove(layer)
            self._note(f"the store {layer.label} is left out: {said_by(error)}")


def _use(found: Found) -> None:
    """Now, for what is dropped the longest unused first."""
    with suppress(OSError):
        found.layer.used(shard("entries", found.key))


def said_by(error: OSError) -> str:
    """In one line."""
    return (error.strerror or str(error) or type(error).__name__).splitlines()[0]


def _find_in(layer: Layer, shallow: str, roots: Roots, digests: Digests) -> Found | None:
    for name in read_lists(layer, shallow):
        reads = _read(layer, shard("reads", name), Reads)
        key = None if reads is None else deep_key(shallow, reads, roots, digests)
        if reads is None or key is None:
            continue
        entry = _read(layer, shard("entries", key), Entry)
        if entry is not None and is_sane(entry):
            return Found(shallow, reads, key, entry, layer)
    return None


def is_sane(entry: Entry) -> bool:
    """Whether its names are names: another's store must not choose paths.

    >>> is_sane(Entry("_C", "../_C.so", "a" * 64, 1, "", 1.0, 1.0))
    False
    """
    plain = entry.file.startswith(entry.target) and entry.file.endswith(".so")
    return plain and "/" not in entry.file and BLOB.fullmatch(entry.blob) is not None


def read_lists(layer: Layer, shallow: str) -> list[str]:
    """The sets of files known under a shallow key, the last kept first."""
    names = _read(layer, shard("lists", shallow), list[str]) or []
    return [name for name in names if BLOB.fullmatch(name)]


def _add_reads(layer: Layer, shallow: str, reads: Reads) -> None:
    name = digest_of(reads)
    known = read_lists(layer, shallow)
    if _read(layer, shard("reads", name), Reads) is None:
        layer.write(shard("reads", name), zlib.compress(msgspec.json.encode(reads)))
    if known[:1] == [name]:
        return
    kept = [name, *(one for one in known if one != name)][:MOST_LISTS]
    layer.write(shard("lists", shallow), msgspec.json.encode(kept))


def _read(layer: Layer, name: str, kind: type[T]) -> T | None:
    """None for what is not there, and for what is damaged: then it is written anew."""
    data = layer.read(name)
    if data is None:
        return None
    try:
        plain = zlib.decompress(data) if name.startswith("reads/") else data
        return msgspec.json.decode(plain, type=kind)
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _writing(layer: Layer) -> AbstractContextManager[None]:
    return layer.writing() if isinstance(layer, FolderLayer) else nullcontext()
