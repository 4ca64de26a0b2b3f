"""Which contents each object was compiled from: ninja goes by times, and times can lie.

A file that is put back with its old time (cp -p, rsync -t, tar) looks older than the object made
from its other contents. Such an object must not stay, and must never be kept in the store.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import msgspec

from vllm_forge.run.files import mtime_of, write_atomically
from vllm_forge.run.ninja import parse_ninja_log
from vllm_forge.run.ninja_deps import Deps
from vllm_forge.run.store.digests import Digests, digest_of
from vllm_forge.run.store.roots import Roots

FILE: Final = "forge-objects.json"
"""In the build folder; gone with it."""

STANDING: Final = ("torch", "toolkit", "python", "system")
"""Roots that no edit loop writes into, besides the system's own: their times are believed."""

TICK_NS: Final = 20_000_000
"""The kernel stamps files with a clock that stands still for up to 10 ms."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """`objects`: path below the build folder → its mtime (ns) and the digest of its inputs then.

    `generated` are paths of sources that CMake's run wrote into the tree; `configured` is the
    digest of the action that the folder was configured by, empty while that is at work.
    """

    objects: dict[str, tuple[int, str]] = field(default_factory=dict)
    generated: tuple[str, ...] = ()
    configured: str = ""


def read_ledger(build: Path) -> Ledger:
    try:
        return msgspec.json.decode((build / FILE).read_bytes(), type=Ledger)
    except (OSError, msgspec.DecodeError):
        return Ledger()


def write_ledger(build: Path, ledger: Ledger) -> None:
    write_atomically(build / FILE, msgspec.json.encode(ledger))


@dataclass(frozen=True, slots=True)
class Bench:
    """Where objects are judged: the folder, names for folders, digests of files as they are now."""

    build: Path
    roots: Roots
    digests: Digests


def record_objects(bench: Bench, deps: Mapping[str, Deps]) -> Ledger:
    """Write down what was compiled since, unless an input was written while or after it was."""
    ledger = read_ledger(bench.build)
    objects = dict(ledger.objects)
    starts = _starts(bench.build)
    own = _own_files(deps, bench.roots)
    for name, one in deps.items():
        at = mtime_of(bench.build / name)
        known = objects.get(name)
        if at is None or not one.valid or (known is not None and known[0] == at):
            continue
        files = [path for path in one.files if path in own]
        if name in starts and not _written_since(files, starts[name]):
            objects[name] = (at, _digest(files, bench))
        else:
            objects.pop(name, None)
    updated = replace(ledger, objects=objects)
    if updated != ledger:
        write_ledger(bench.build, updated)
    return updated


def unproven(bench: Bench, deps: Mapping[str, Deps], ledger: Ledger) -> list[str]:
    """Objects that may have been made from other contents than their inputs have now."""
    found = []
    own = _own_files(deps, bench.roots)
    for name, one in deps.items():
        known = ledger.objects.get(name)
        at = mtime_of(bench.build / name)
        files = [path for path in one.files if path in own]
        if not one.valid or known is None or known[0] != at or known[1] != _digest(files, bench):
            found.append(name)
    return found


def remove_stale(bench: Bench, deps: Mapping[str, Deps], ledger: Ledger) -> list[str]:
    """Remove objects whose inputs have other contents now, and which ninja would take for fresh.

    Where nothing was written down, an input that was written after the compile began is enough.
    """
    starts = _starts(bench.build)
    own = _own_files(deps, bench.roots)
    removed = []
    for name, one in deps.items():
        at = mtime_of(bench.build / name)
        if at is None:
            continue
        known = ledger.objects.get(name)
        files = [path for path in one.files if path in own]
        if known is not None and known[0] == at:
            stale = known[1] != _digest(files, bench)
        else:
            stale = name not in starts or _written_since(files, starts[name])
        if stale:
            with suppress(OSError):
                (bench.build / name).unlink()
                removed.append(name)
    return removed


def _own_files(deps: Mapping[str, Deps], roots: Roots) -> frozenset[str]:
    """Of all that the objects read: what is not the system's or torch's."""
    read = {path for one in deps.values() for path in one.files}
    return frozenset(path for path in read if roots.split(path)[0] not in {"", *STANDING})


def _digest(files: Iterable[str], bench: Bench) -> str:
    named = sorted((*bench.roots.split(path), bench.digests.of(path)) for path in files)
    return digest_of(named)


def _written_since(files: Iterable[str], moment: int) -> bool:
    """By ctime too, which no program can set; a missing file counts as written."""
    for path in files:
        try:
            stat = Path(path).stat()
        except OSError:
            return True
        if max(stat.st_mtime_ns, stat.st_ctime_ns) > moment - TICK_NS:
            return True
    return False


def _starts(build: Path) -> dict[str, int]:
    """When each object's compile began, in nanoseconds: its time less what ninja says it took."""
    try:
        entries = parse_ninja_log((build / ".ninja_log").read_text(errors="replace"))
    except OSError:
        return {}
    found = {}
    for entry in entries:
        if entry.output.endswith(".o"):
            at = mtime_of(build / entry.output)
            if at is not None:
                found[entry.output] = at - (entry.end_ms - entry.start_ms) * 1_000_000
    return found
