"""How much memory compilers may use: what is soldered in, what cgroups allow, what is free now."""

from pathlib import Path
from typing import Final

from vllm_forge.probe.cgroup import Level, read_levels, read_number
from vllm_forge.records.machine import Memory

KIB: Final = 1024

LIMITS: Final = {1: ("memory.limit_in_bytes",), 2: ("memory.max", "memory.high")}
"""memory.high is a limit too: past it the kernel reclaims and throttles instead of killing."""
USAGE: Final = {1: "memory.usage_in_bytes", 2: "memory.current"}
RECLAIMABLE: Final = {1: "total_inactive_file", 2: "inactive_file"}
"""Line of memory.stat: page cache that counts as used and is given back when asked for."""


def parse_meminfo(text: str) -> tuple[int | None, int | None]:
    r"""(total, available) bytes from /proc/meminfo.

    >>> parse_meminfo("MemTotal:       24554324 kB\nMemFree: 1 kB\nMemAvailable:   24045040 kB")
    (25143627776, 24622120960)
    """
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdigit():
            found[name] = int(words[0]) * KIB
    return found.get("MemTotal"), found.get("MemAvailable")


def parse_reclaimable(stat: str, version: int) -> int:
    r"""Bytes of page cache in memory.stat that a cgroup gives back under pressure.

    >>> parse_reclaimable("anon 5\ninactive_file 4096\n", 2)
    4096
    """
    for line in stat.splitlines():
        name, _, value = line.partition(" ")
        if name == RECLAIMABLE[version] and value.isdigit():
            return int(value)
    return 0


def read_level(level: Level) -> tuple[int, int | None] | None:
    """(limit, bytes still free under it) of one cgroup; None where it sets no limit."""
    limits = [read_number(level.folder / name) for name in LIMITS[level.version]]
    limit = min((each for each in limits if each is not None), default=None)
    if limit is None:
        return None
    usage = read_number(level.folder / USAGE[level.version])
    if usage is None:
        return limit, None
    try:
        cache = parse_reclaimable((level.folder / "memory.stat").read_text(), level.version)
    except OSError:
        cache = 0
    return limit, max(0, limit - max(0, usage - cache))


def read_memory(*, root: Path = Path("/")) -> Memory:
    """`available_bytes` is the least of what the kernel and each limiting cgroup can still give."""
    try:
        total, available = parse_meminfo((root / "proc/meminfo").read_text())
    except OSError:
        total, available = None, None
    bounds = [bound for level in read_levels("memory", root=root) if (bound := read_level(level))]
    left = [free for _, free in bounds if free is not None]
    return Memory(
        total_bytes=total,
        limit_bytes=min((limit for limit, _ in bounds), default=None),
        available_bytes=min([*left, available]) if available is not None else None,
    )
