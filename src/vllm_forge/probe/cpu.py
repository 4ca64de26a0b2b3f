"""Which CPU, how much of it this process may use, and which instructions it has."""

import os
import platform
from pathlib import Path

from vllm_forge.probe.cgroup import Level, read_levels
from vllm_forge.records.machine import Cpu


def parse_cpuinfo(text: str) -> tuple[str | None, tuple[str, ...] | None]:
    r"""(model, flags) of the first processor in /proc/cpuinfo; Arm says `Features`, and no model.

    >>> parse_cpuinfo("model name\t: AMD EPYC 9R14\nflags\t\t: sse2 avx2\n\nprocessor\t: 1")
    ('AMD EPYC 9R14', ('sse2', 'avx2'))
    """
    first = text.strip().split("\n\n", 1)[0]
    found = {}
    for line in first.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip()] = value.strip()
    flags = found.get("flags", found.get("Features"))
    return found.get("model name") or None, None if flags is None else tuple(flags.split())


def parse_quota(text: str) -> float | None:
    """CPUs allowed by cgroup v2's cpu.max (`QUOTA PERIOD`, microseconds); None for no limit.

    >>> [parse_quota(text) for text in ("max 100000", "150000 100000", "-1 100000", "")]
    [None, 1.5, None, None]
    """
    match text.split():
        case [quota, period] if quota.isdigit() and period.isdigit() and int(period) > 0:
            return int(quota) / int(period)
        case _:
            return None


def read_quota(level: Level) -> float | None:
    """CPUs one cgroup allows; version 1 keeps quota and period in two files."""
    names = ("cpu.max",) if level.version == 2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")  # noqa: PLR2004
    try:
        return parse_quota(" ".join((level.folder / name).read_text() for name in names))
    except OSError:
        return None


def count_cores(affinity: int, quotas: tuple[float, ...]) -> int:
    """CPUs a build may keep busy: whole ones of the tightest quota, at least one.

    >>> count_cores(8, (1.5, 4.0)), count_cores(8, ()), count_cores(2, (0.5,))
    (1, 8, 1)
    """
    return max(1, min([affinity, *(int(quota) for quota in quotas)]))


def read_cpu(*, root: Path = Path("/")) -> Cpu:
    """Cpuset limits are in the affinity mask already; quotas are not."""
    try:
        model, flags = parse_cpuinfo((root / "proc/cpuinfo").read_text(errors="replace"))
    except OSError:
        model, flags = None, None
    quotas = (read_quota(level) for level in read_levels("cpu", root=root))
    return Cpu(
        arch=platform.machine() or None,
        model=model,
        cores=count_cores(
            len(os.sched_getaffinity(0)), tuple(quota for quota in quotas if quota is not None)
        ),
        flags=flags,
    )
