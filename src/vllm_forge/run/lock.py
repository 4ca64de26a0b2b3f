"""One lock for each thing being made; it goes with the process, however that ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def locked(path: Path, *, on_wait: Callable[[str], None], patience: float = -1) -> Iterator[None]:
    """Hold `path` (a lock file). If another process has it, say so once and wait.

    `patience` in seconds, forever when negative.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        on_wait(f"another vllm-forge is at work here ({path.name}); waiting for it to end")
        lock.acquire(timeout=patience, poll_interval=0.2)
    try:
        yield
    finally:
        lock.release()
