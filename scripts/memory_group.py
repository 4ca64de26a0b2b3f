"""A memory cgroup (version 1) around the body, for benchmarks of what the kernel kills."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup/memory")


@dataclass(frozen=True)
class MemoryGroup:
    """`folder` is the cgroup's."""

    folder: Path

    @property
    def oom_kills(self) -> int:
        """Processes of this group that the kernel has killed."""
        words = (self.folder / "memory.oom_control").read_text().split()
        return int(words[words.index("oom_kill") + 1])

    @property
    def peak_bytes(self) -> int:
        """The most it held since `forget_peak`."""
        return int((self.folder / "memory.max_usage_in_bytes").read_text())

    def end_others(self) -> None:
        """Kill every process of the group but this one, and wait until they are gone.

        ninja gives each command a process group of its own: they outlive a ninja that is killed.
        """
        while others := [
            int(word)
            for word in (self.folder / "cgroup.procs").read_text().split()
            if int(word) != os.getpid()
        ]:
            for one in others:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)
            time.sleep(0.1)

    def forget_peak(self) -> None:
        (self.folder / "memory.max_usage_in_bytes").write_text("0")


@contextlib.contextmanager
def memory_group(limit_bytes: int) -> Iterator[MemoryGroup | None]:
    """Everything started inside the body is in it; None where none can be made."""
    group = ROOT / f"forge-bench-{os.getpid()}"
    try:
        group.mkdir(exist_ok=True)
        (group / "memory.limit_in_bytes").write_text(str(limit_bytes))
        membership = Path("/proc/self/cgroup").read_text().splitlines()
        [before] = [line.split(":")[2] for line in membership if line.split(":")[1] == "memory"]
        (group / "cgroup.procs").write_text("0")
    except (OSError, ValueError):
        yield None
        return
    try:
        yield MemoryGroup(group)
    finally:
        (Path(f"{ROOT}{before}") / "cgroup.procs").write_text("0")
        _remove(group)


def _remove(group: Path) -> None:
    """A group goes when its last process has gone."""
    for _ in range(100):
        with contextlib.suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.1)
