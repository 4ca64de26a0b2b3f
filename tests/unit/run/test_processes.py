"""The door to processes: real ones, that end, that do not, and that leave something behind."""

import os
import signal
import sys
from pathlib import Path

import pytest

from vllm_forge.run.process import NOT_FOUND, OUTLIVED, run_command, run_in_group, work

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


def test_a_question_is_answered() -> None:
    done = run_command([sys.executable, "-c", "import sys; print(1); sys.exit('no')"])
    assert (done.code, done.stdout, done.stderr) == (1, "1\n", "no\n")


def test_a_program_that_is_not_there() -> None:
    assert run_command(["/nowhere/to/be/found"]).code == NOT_FOUND
    assert run_command(["/etc/passwd"]).code == NOT_FOUND
    assert run_command(["/etc/passwd/x"]).code == NOT_FOUND


def test_a_question_that_takes_too_long() -> None:
    done = run_command([sys.executable, "-c", SLEEPER], timeout=1.0)
    assert done.code == OUTLIVED
    assert "still running after 1.0 s" in done.stderr


def test_bytes_that_are_no_text() -> None:
    done = run_command([sys.executable, "-c", r"import os; os.write(1, b'\xff')"])
    assert done.stdout == "�"


def test_work_is_heard_and_kept(log: Path) -> None:
    lines: list[str] = []
    code = "import sys; print('a\\rb'); print('c', file=sys.stderr); print('d', end='')"
    done = work([sys.executable, "-u", "-c", code], log=log, env=os.environ, on_line=lines.append)
    assert done.code == 0
    assert lines == ["a", "b", "c", "d"]
    assert log.read_text().splitlines()[0].startswith(f"$ {sys.executable} -u -c ")
    assert log.read_bytes().endswith(b"a\rb\nc\nd")


def test_work_says_what_it_took(log: Path) -> None:
    code = "import time; held = bytearray(200_000_000)\nwhile time.process_time() < 0.2: pass"
    done = work([sys.executable, "-c", code], log=log, env=os.environ)
    assert done.cpu_seconds >= 0.2
    assert done.seconds > 0
    assert done.peak_bytes > 200_000_000


@pytest.mark.parametrize("code", [0, 3])
def test_how_work_ends(log: Path, code: int) -> None:
    done = work([sys.executable, "-c", f"raise SystemExit({code})"], log=log, env=os.environ)
    assert done.code == code


def test_work_that_is_killed(log: Path) -> None:
    code = "import os; os.kill(os.getpid(), 9)"
    assert work([sys.executable, "-c", code], log=log, env=os.environ).code == -signal.SIGKILL


def test_work_that_is_not_there(log: Path) -> None:
    assert work(["/nowhere/to/be/found"], log=log, env=os.environ).code == NOT_FOUND
    assert "/nowhere/to/be/found" in log.read_text()


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


def test_a_long_question_is_kept_in_its_log(log: Path) -> None:
    ask = run_in_group(log)
    done = ask([sys.executable, "-c", "import sys; print(1); print(2, file=sys.stderr)"])
    assert (done.code, sorted(done.stdout.split())) == (0, ["1", "2"])
    ask([sys.executable, "-c", "print('again')"])
    assert log.read_text().count("$ ") == 2
