"""How much memory compiles may still take, how hard the machine is pressed, and who was killed."""

from pathlib import Path
from typing import Final

from vllm_forge.probe.cgroup import read_levels
from vllm_forge.probe.memory import read_memory
from vllm_forge.records.schedule import Room

MIB: Final = 1 << 20

KEPT_PART: Final = 32
KEPT_LEAST: Final = 128 * MIB
KEPT_MOST: Final = 1024 * MIB
"""Kept free: a part of all there is, for page cache and what predictions miss."""


def kept_free(ceiling: int) -> int:
    """Bytes never promised.

    >>> [kept_free(gib << 30) // MIB for gib in (2, 9, 128)]
    [128, 288, 1024]
    """
    return min(KEPT_MOST, max(KEPT_LEAST, ceiling // KEPT_PART))


def read_room(*, cores: int, memory_bytes: int | None, root: Path = Path("/")) -> Room:
    """One look at the machine; `memory_bytes` is what --memory allows at most."""
    memory = read_memory(root=root)
    ceilings = [size for size in (memory.total_bytes, memory.limit_bytes) if size is not None]
    kept = kept_free(min(ceilings)) if ceilings else 0
    ceiling = min(
        [*(size - kept for size in ceilings), *([memory_bytes] if memory_bytes else [])],
        default=None,
    )
    available = None if memory.available_bytes is None else max(0, memory.available_bytes - kept)
    return Room(cores, available, ceiling, pressure=read_pressure(root=root))


def parse_pressure(text: str) -> float:
    r"""`some avg10` of a PSI file: percent of the last ten seconds in which something stalled.

    >>> parse_pressure("some avg10=12.50 avg60=3.00 avg300=1.0 total=9\nfull avg10=0.00")
    12.5
    """
    for line in text.splitlines():
        if line.startswith("some "):
            for word in line.split():
                name, _, value = word.partition("=")
                if name == "avg10":
                    return float(value)
    return 0.0


def read_pressure(*, root: Path = Path("/")) -> float:
    """Of our own cgroup (version 2), else of the machine; 0 where the kernel does not say."""
    groups = [level.folder for level in read_levels("memory", root=root) if level.version == 2]  # noqa: PLR2004
    for path in (
        *(folder / "memory.pressure" for folder in groups[:1]),
        root / "proc/pressure/memory",
    ):
        try:
            return parse_pressure(path.read_text())
        except (OSError, ValueError):
            continue
    return 0.0


def read_oom_kills(*, root: Path = Path("/")) -> int:
    """Processes the kernel has killed for memory since it started, cgroups' included.

    0 where /proc/vmstat does not count them (before Linux 4.13).
    """
    try:
        lines = (root / "proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
