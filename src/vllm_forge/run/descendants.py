"""Processes that outlive their parents come to us, and are ended by us (Linux)."""

import contextlib
import ctypes
import os
import signal
from pathlib import Path
from time import monotonic, sleep
from typing import Final

PR_SET_CHILD_SUBREAPER: Final = 36
"""linux/prctl.h; see prctl(2)."""
LADDER: Final = ((signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0))
"""Signal, then seconds to end. Python's resource tracker ignores the first, and ends by itself when
the others are gone: it is what frees their shared memory."""


def adopt_orphans() -> None:
    """From now on a descendant whose parent dies becomes our child, not init's."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def find_descendants(ancestor: int, proc: Path = Path("/proc")) -> tuple[int, ...]:
    """Every live process below `ancestor`, children before grandchildren; zombies left out."""
    children: dict[int, list[int]] = {}
    for folder in proc.iterdir():
        if folder.name.isdigit():
            parent = read_parent(folder)
            if parent is not None:
                children.setdefault(parent, []).append(int(folder.name))
    found: list[int] = []
    generation = [ancestor]
    while generation:
        generation = [child for parent in generation for child in children.get(parent, [])]
        found += generation
    return tuple(found)


def read_parent(folder: Path) -> int | None:
    """The parent in /proc/PID/stat; None for a process that has ended."""
    try:
        said = (folder / "stat").read_text(errors="replace")
    except OSError:
        return None
    return parse_parent(said)


def parse_parent(stat: str) -> int | None:
    """The fourth field; the second is a name in brackets, with any bracket or blank in it.

    >>> parse_parent("7 (a) b) S 3 7 7"), parse_parent("7 (python) Z 3 7 7")
    (3, None)
    """
    state, parent, *_ = stat.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else int(parent)


def end_descendants(spared: frozenset[int]) -> tuple[int, ...]:
    """End whatever is left below us, except `spared` and what is below those.

    Returns what had to be killed. What left its parent's session is found too, when
    `adopt_orphans` was called before it was started.
    """
    left: tuple[int, ...] = ()
    for sign, patience in LADDER:
        left = _left(spared)
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, sign)
        killed = left if sign == signal.SIGKILL else ()
        until = monotonic() + patience
        while left and monotonic() < until:
            for process in left:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process, os.WNOHANG)
            sleep(0.02)
            left = _left(spared)
        if not left:
            return killed
    return left


def _left(spared: frozenset[int]) -> tuple[int, ...]:
    kept = set(spared)
    for root in spared:
        kept |= set(find_descendants(root))
    return tuple(one for one in find_descendants(os.getpid()) if one not in kept)
