"""What a compile and everything below it hold and do, seen in /proc."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PAGE: Final = os.sysconf("SC_PAGE_SIZE")
TICKS: Final = os.sysconf("SC_CLK_TCK")
USER_TIME: Final = 11
"""Place after the name in /proc/PID/stat (proc_pid_stat(5)); stime, cutime and cstime follow."""
RESIDENT: Final = 21


@dataclass(frozen=True, slots=True)
class Seen:
    """Sum over a process tree: resident bytes, and CPU seconds with those of ended children."""

    resident_bytes: int
    cpu_seconds: float


def measure_tree(process: int, *, proc: str = "/proc") -> Seen | None:
    """None when the process has ended.

    Pages that two processes share are counted twice; compilers share little but their own code.
    nvcc starts its passes from threads, so every thread's children are looked at.
    """
    seen = _measure_one(process, proc)
    if seen is None:
        return None
    resident, cpu = seen
    for child in children_of(process, proc):
        below = measure_tree(child, proc=proc)
        if below is not None:
            resident += below.resident_bytes
            cpu += below.cpu_seconds
    return Seen(resident, cpu)


def parse_stat(stat: str) -> tuple[int, float]:
    """(resident bytes, CPU seconds) of /proc/PID/stat.

    The name is in brackets and may hold brackets and blanks itself.

    >>> parse_stat("7 (cc1 plus) R 1 7 7 0 -1 0 0 0 0 0 250 50 0 0 20 0 1 0 9 4096 3 0")[1] * TICKS
    300.0
    """
    fields = stat.rpartition(")")[2].split()
    ticks = sum(int(field) for field in fields[USER_TIME : USER_TIME + 4])
    return int(fields[RESIDENT]) * PAGE, ticks / TICKS


def _measure_one(process: int, proc: str) -> tuple[int, float] | None:
    try:
        return parse_stat(Path(f"{proc}/{process}/stat").read_text(errors="replace"))
    except (OSError, IndexError, ValueError):
        return None


def children_of(process: int, proc: str = "/proc") -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(f"{proc}/{process}/task"):  # noqa: PTH208 -- four times a second
            text = Path(f"{proc}/{process}/task/{thread}/children").read_text()
            found += map(int, text.split())
    except OSError:
        pass  # it ended while we looked
    return found
