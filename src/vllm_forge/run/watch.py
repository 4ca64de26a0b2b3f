"""See what is saved in a tree."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from time import time
from typing import Final

from watchfiles import watch

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.resolve.edits import FACT_FILES, WATCHED

TOP_FILES: Final = ("CMakeLists.txt", *sorted(FACT_FILES))
LOOK_MS: Final = 250
"""How often the few files at the top are looked at: editors replace them, and the top itself may
hold an environment or a repository with more folders than the kernel watches."""

QUIET_MS: Final = 30
MOST_MS: Final = 300
"""An editor's save, or a checkout's many, are one: until nothing came for so long, or at most."""


@dataclass(frozen=True, slots=True)
class Saved:
    """`path` is relative to the tree; `at` is when, in seconds since 1970."""

    path: PurePath
    at: float


def watch_tree(tree: Path) -> Iterator[tuple[Saved, ...]]:
    """What was saved or removed, together; () whenever nothing was, first when the watch began.

    Raises:
        Problem: exit 4 where the kernel watches no more folders.
        KeyboardInterrupt: as the user says.
    """
    folders = [tree / name for name in WATCHED if (tree / name).is_dir()]
    before, looked = _read_top(tree), time()
    try:
        for changes in watch(
            *folders,
            debounce=MOST_MS,
            step=QUIET_MS,
            rust_timeout=LOOK_MS,
            yield_on_timeout=True,
        ):
            now = _read_top(tree)
            top = {tree / name for name in TOP_FILES if now[name] != before[name]}
            before = now
            paths = sorted(top | {Path(name) for _, name in changes if not Path(name).is_dir()})
            since, looked = looked, time()
            yield tuple(Saved(path.relative_to(tree), _saved_at(path, since)) for path in paths)
    except OSError as error:
        raise Problem(
            f"{tree} cannot be watched: {error}",
            hints=(
                "sysctl fs.inotify.max_user_watches=524288",
                "WATCHFILES_FORCE_POLLING=1 looks at every file again and again instead",
            ),
            exit_code=ExitCode.UNREACHABLE,
        ) from error


def _read_top(tree: Path) -> dict[str, tuple[int, int] | None]:
    return {name: _stat_of(tree / name) for name in TOP_FILES}


def _stat_of(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def _saved_at(path: Path, since: float) -> float:
    """The time of writing, if it lies since the last look: an older one was set (cp -p, tar)."""
    now = time()
    try:
        written = path.stat().st_mtime
    except OSError:
        return now
    return written if since <= written <= now else now
