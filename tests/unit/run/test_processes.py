"""The door to processes: real ones, that end, that do not, and that leave something behind."""

import os
import signal
import sys
from pathlib import Path

import pytest

from vllm_forge.run.process import NOT_FOUND, OUTLIVED, run_command, run_in_group, work

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "log"


def test_a_question_is_answered() -> None:
    done = run_command([sys.executable, "-c", "import sys; print(1); sys.exit('no')"])
    assert (done.code, done.stdout, done.stderr) == (1, "1\n", "no\n")


def test_a_program_that_is_not_there() -> None:
    assert run_command(["/nowhere/to/be/found"]).code == NOT_FOUND
    assert run_command(["/etc/passwd"]).code == NOT_FOUND
    assert run_command(["/etc/passwd/x"]).code == NOT_FOUND


def test_a_question_that_takes_too_long() -> None:
    done = run_command([sys.executable, "-c", SLEEPER], timeout=0.3)
    assert done.code == OUTLIVED
    assert "still running after 0.3 s" in done.stderr


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


def test_a_long_question_is_kept_in_its_log(log: Path) -> None:
    ask = run_in_group(log)
    done = ask([sys.executable, "-c", "import sys; print(1); print(2, file=sys.stderr)"])
    assert (done.code, sorted(done.stdout.split())) == (0, ["1", "2"])
    ask([sys.executable, "-c", "print('again')"])
    assert log.read_text().count("$ ") == 2
