"""The shipped tables: every vLLM release on the package index from 0.8.0 on, read beforehand.

Made by scripts/release_table.py with the code of this package; tests regenerate entries and
compare. Opening a table does not decode it: only the release that is asked for is.
"""

from dataclasses import dataclass
from functools import lru_cache

import msgspec
from packaging.version import Version

from vllm_forge.records.codec import parse_json
from vllm_forge.records.release import Configured, Release
from vllm_forge.records.torch import MissingName, TorchRelease
from vllm_forge.release.packed import CPU_CLASSES, Packed, unpack
from vllm_forge.release.question import Question
from vllm_forge.release.shipped import read_shipped

RELEASES = "releases.json"
CONFIGURATIONS = "configurations.json"
TORCH = "torch.json"
TORCH_API = "torch_api.json"


@dataclass(frozen=True, slots=True)
class Table:
    """Release → its JSON, not yet decoded."""

    schema: int
    releases: dict[str, msgspec.Raw]


@dataclass(frozen=True, slots=True)
class TorchTable:
    schema: int
    torch: tuple[TorchRelease, ...]


@dataclass(frozen=True, slots=True)
class KnownUse:
    """`names` by their place in the table's list, with the sources that need each."""

    pinned: str
    names: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class TorchApiTable:
    """`lacks` is torch version → the names it does not have, among all names that any lacks.

    `releases` is vLLM release → device → what its sources take, restricted to those names.
    """

    schema: int
    lacks: dict[str, tuple[str, ...]]
    releases: dict[str, dict[str, KnownUse]]


@lru_cache(maxsize=2)
def read_table(name: str) -> Table:
    return parse_json(read_shipped(name), Table, origin=name)


def known_releases() -> tuple[str, ...]:
    """Oldest first."""
    return tuple(sorted(read_table(RELEASES).releases, key=Version))


@lru_cache(maxsize=8)
def read_known_release(version: str) -> Release | None:
    """None for a release that the table does not have."""
    raw = read_table(RELEASES).releases.get(version)
    return None if raw is None else parse_json(bytes(raw), Release, origin=RELEASES)


@lru_cache(maxsize=8)
def read_packed(version: str) -> Packed | None:
    raw = read_table(CONFIGURATIONS).releases.get(version)
    return None if raw is None else parse_json(bytes(raw), Packed, origin=CONFIGURATIONS)


def read_known_configuration(version: str, question: Question) -> Configured | None:
    """As `configure` would answer; None where the table cannot: then the tree has to be read.

    It has x86-64 Linux, single architectures without suffix (several are the union of each; a
    global `+PTX` is dropped as vLLM drops it) and nvcc from 11.0 on.
    """
    packed = read_packed(version)
    if packed is None or question.machine != "x86_64" or question.local or question.environment:
        return None
    if question.device == "cpu":
        names: tuple[str, ...] = (cpu_class(question.processor_flags),)
    else:
        names = tuple(arch.removesuffix("+PTX") for arch in question.architectures)
    try:
        return unpack(packed, question.device, question.nvcc, names) if names else None
    except KeyError:
        return None


def cpu_class(flags: tuple[str, ...]) -> str:
    """The richest class whose flags are all there; `avx2` where not even that one is."""
    return next((n for n, needed in CPU_CLASSES.items() if set(needed) <= set(flags)), "avx2")


@lru_cache(maxsize=1)
def known_torches() -> tuple[TorchRelease, ...]:
    """Oldest first."""
    table = parse_json(read_shipped(TORCH), TorchTable, origin=TORCH)
    return tuple(sorted(table.torch, key=lambda torch: Version(torch.version)))


@lru_cache(maxsize=1)
def read_torch_api() -> TorchApiTable:
    return parse_json(read_shipped(TORCH_API), TorchApiTable, origin=TORCH_API)


def read_known_missing(
    version: str, device: str, torch: str, sources: frozenset[str] | None = None
) -> tuple[MissingName, ...] | None:
    """What the release's sources for `device` miss in that torch; `()` when nothing.

    `sources` restricts it to files that will be compiled. None when the table does not know the
    release, the torch (its public version, `2.6.0`) or the pinned one: then headers and tree have
    to be read.
    """
    table = read_torch_api()
    use = table.releases.get(version, {}).get(device)
    lacks = table.lacks.get(torch.partition("+")[0])
    pinned_lacks = table.lacks.get(use.pinned) if use else None
    if use is None or lacks is None or pinned_lacks is None:
        return None
    decisive = set(lacks) - set(pinned_lacks)
    missing: list[MissingName] = []
    for name in sorted(use.names.keys() & decisive):
        files = use.names[name]
        compiled = files if sources is None else tuple(f for f in files if f in sources)
        if compiled:
            missing.append(MissingName(name, compiled))
    return tuple(missing)
