"""The program as users have it: a process with a home of its own."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from vllm_forge.run.index import read_index_settings
from vllm_forge.run.process import run_command

PROGRAM = Path(sys.executable).with_name("vllm-forge")
MARK = "FORGE_TEST_RUN"
PATIENCE = 300.0
"""Seconds until a test that waits gives up; a slow machine is no failure."""


@dataclass(frozen=True)
class Forge:
    """`vllm-forge` under one home. Whatever it starts carries a mark in its environment."""

    home: Path
    environ: dict[str, str]
    prefix: tuple[str | Path, ...] = ()
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __call__(
        self, *words: str | Path, cwd: Path | None = None, timeout: float = 900.0
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(words),
            capture_output=True,
            check=False,
            cwd=cwd,
            env=self._variables,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=timeout,
        )

    def start(self, *words: str | Path) -> "Running":
        return Running(
            subprocess.Popen(
                self._command(words),
                env=self._variables,
                start_new_session=True,
                stderr=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                text=True,
            )
        )

    def under(self, *prefix: str | Path, **variables: str) -> "Forge":
        """The same program and home, begun by another command or in another environment."""
        return replace(self, prefix=prefix, environ={**self.environ, **variables})

    def without(self, *names: str) -> "Forge":
        kept = {name: value for name, value in self.environ.items() if name not in names}
        return replace(self, environ=kept)

    def survivors(self) -> list[str]:
        """Command lines of everything alive that the program started, itself included."""
        wanted = f"{MARK}={self.mark}".encode()
        found: list[str] = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if wanted in (process / "environ").read_bytes().split(b"\0"):
                    words = (process / "cmdline").read_bytes().split(b"\0")
                    found.append(b" ".join(words).decode(errors="replace"))
            except OSError:  # it ended meanwhile, or is not ours
                continue
        return [line for line in found if line.strip()]

    def expect_nobody(self, seconds: float = 20.0) -> None:
        """Fail unless every process that the program started is gone, soon."""
        until = time.monotonic() + seconds
        while (left := self.survivors()) and time.monotonic() < until:
            time.sleep(0.05)
        assert left == []

    def _command(self, words: tuple[str | Path, ...]) -> list[str]:
        return [str(word) for word in (*self.prefix, PROGRAM, *words)]

    @property
    def _variables(self) -> dict[str, str]:
        return {**self.environ, "VLLM_FORGE_HOME": str(self.home), MARK: self.mark}


class Running:
    """A started program whose lines on stderr are heard as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, *beginnings: str) -> str:
        """The first line that begins with one of these; fails when the program ends without it."""
        with self._news:
            assert self._news.wait_for(
                lambda: self._ended or self._find(beginnings) is not None, PATIENCE
            ), f"still waiting for {beginnings} after:\n{self.said}"
            line = self._find(beginnings)
        assert line is not None, f"no {beginnings} in:\n{self.said}"
        return line

    def wait_until(self, seen: Callable[[], bool]) -> None:
        """Look until it is seen; fails when the program ends before."""
        until = time.monotonic() + PATIENCE
        while not seen():
            assert self.process.poll() is None, f"ended before it was seen:\n{self.said}"
            assert time.monotonic() < until, f"never seen after:\n{self.said}"
            time.sleep(0.01)

    def end(self, sign: signal.Signals) -> int:
        self.process.send_signal(sign)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        if self.process.stderr is not None:
            self.process.stderr.close()
        return code

    @property
    def said(self) -> str:
        return "\n".join(self.lines)

    def _find(self, beginnings: tuple[str, ...]) -> str | None:
        return next((line for line in self.lines if line.startswith(beginnings)), None)

    def _read(self) -> None:
        for line in self.process.stderr or ():
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


def quiet_environment() -> dict[str, str]:
    """The user's environment without what would change what the program says."""
    dropped = {"VLLM_FORGE_HOME", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "CXX", "CC"}
    return {name: value for name, value in os.environ.items() if name not in dropped}


@pytest.fixture(scope="session")
def make_forge() -> Callable[[Path], Forge]:
    """The program with a home that is not there yet."""
    return lambda home: Forge(home, quiet_environment())


@pytest.fixture
def forge(tmp_path: Path, make_forge: Callable[[Path], Forge]) -> Iterator[Forge]:
    """An empty home, removed with all that came into it."""
    home = tmp_path / "home"
    made = make_forge(home)
    yield made
    made.expect_nobody()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def default_index() -> str:
    """The index that this machine is configured with."""
    return read_index_settings(os.environ, run_command).url
