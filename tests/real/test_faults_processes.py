"""Work that is ended: past its time, by an interrupt, or with something left behind."""

import os
import signal
import sys
from pathlib import Path

import pytest

from vllm_forge.run.process import work

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); {SLEEPER}"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "log"


def alive(process: int) -> bool:
    """Whether it runs; a zombie of ours does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("code", "sign"), [(SLEEPER, signal.SIGINT), (STUBBORN, signal.SIGTERM)], ids=["", "stubborn"]
)
def test_work_past_its_time_is_ended_by_the_ladder(
    log: Path, code: str, sign: signal.Signals
) -> None:
    done = work([sys.executable, "-c", code], log=log, env=os.environ, timeout=1.0)
    # Python turns SIGINT into an exception and then dies of the signal again.
    assert done.code == -sign


def test_whatever_leaves_early_ends_the_whole_group(log: Path) -> None:
    started: list[int] = []
    code = (
        "import os, subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', {STUBBORN!r}])\n"
        "print(os.getpid(), child.pid, flush=True)\n"
        "child.wait()"
    )

    def hear(line: str) -> None:
        if line == "up":
            raise KeyboardInterrupt
        started.extend(int(word) for word in line.split())

    with pytest.raises(KeyboardInterrupt):
        work([sys.executable, "-c", code], log=log, env=os.environ, on_line=hear)
    assert len(started) == 2
    assert [process for process in started if alive(process)] == []


def test_a_server_left_behind_does_not_hold_the_work(log: Path) -> None:
    code = (
        "import subprocess, sys\n"
        f"left = subprocess.Popen([sys.executable, '-c', {SLEEPER!r}], start_new_session=True)\n"
        "print(left.pid, flush=True)"
    )
    lines: list[str] = []
    done = work([sys.executable, "-c", code], log=log, env=os.environ, on_line=lines.append)
    assert done.code == 0
    server = int(lines[0])
    assert alive(server), "a session of its own is left alone"
    os.kill(server, signal.SIGKILL)


def test_work_is_looked_at_while_it_is_silent(log: Path) -> None:
    ticks: list[int] = []
    work(
        [sys.executable, "-c", "import time; time.sleep(1.2)"],
        log=log,
        env=os.environ,
        on_tick=ticks.append,
    )
    assert len(ticks) >= 2
    assert len(set(ticks)) == 1
