"""The one door to processes: short questions, and long work that is watched and can be ended."""

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO

from vllm_forge.records.doors import Completed, RunCommand

NOT_FOUND = 127
OUTLIVED = -signal.SIGKILL

LADDER = ((signal.SIGINT, 1.0), (signal.SIGTERM, 0.7), (signal.SIGKILL, 5.0))
"""How a process group is ended: signal, then seconds to wait before the next rung."""


def run_command(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 30.0,
) -> Completed:
    """The real `records.doors.RunCommand`; `env` replaces the environment when given."""
    try:
        done = subprocess.run(
            [str(word) for word in command],
            capture_output=True,
            check=False,
            cwd=cwd,
            encoding="utf-8",
            errors="replace",
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            timeout=timeout,
        )
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        return Completed(NOT_FOUND, "", str(error))
    except subprocess.TimeoutExpired as error:
        said = error.stdout if isinstance(error.stdout, bytes) else b""
        return Completed(
            OUTLIVED, said.decode(errors="replace"), f"still running after {timeout} s"
        )
    return Completed(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True, slots=True)
class Worked:
    """How long work ended.

    `cpu_seconds` is user+system time of the process and every descendant it waited for;
    `peak_bytes` the largest single one of them (ru_maxrss), not their sum; never less than our own
    resident size when it was started, which a new process has until it executes its program.
    `code` is negative for a signal.
    """

    code: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    log: Path


def work(  # noqa: PLR0913 -- one process has this many properties
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str],
    cwd: Path | None = None,
    on_line: Callable[[str], None] = lambda _: None,
    on_tick: Callable[[int], None] = lambda _: None,
    timeout: float | None = None,
) -> Worked:
    """Run to the end, every output line to `log` and to `on_line`.

    `on_tick(pid)` is called about twice a second, and after every output.

    The process leads a group of its own and dies with us (util-linux' setpriv, where present), so
    that neither an interrupt nor our own death leaves a compiler behind. Whatever leaves this
    function early, KeyboardInterrupt included, ends the group first. Past `timeout` seconds the
    group is ended and the code is that of the last signal.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    started = monotonic()
    deadline = None if timeout is None else started + timeout
    with log.open("ab") as kept:
        kept.write(f"$ {' '.join(str(word) for word in command)}\n".encode())
        try:
            process = subprocess.Popen(
                [*dies_with_us(), *(str(word) for word in command)],
                cwd=cwd,
                env=dict(env),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
            kept.write(f"{error}\n".encode())
            return Worked(NOT_FOUND, 0.0, 0.0, 0, log)
        try:
            ended = _pump(process, kept, on_line, on_tick, deadline)
        except BaseException:
            end_group(process.pid)
            process.returncode = OUTLIVED
            raise
        finally:
            if process.stdout is not None:
                process.stdout.close()
        process.returncode = ended.code
    return Worked(
        code=ended.code,
        seconds=monotonic() - started,
        cpu_seconds=ended.cpu_seconds,
        peak_bytes=ended.peak_bytes,
        log=log,
    )


@dataclass(frozen=True, slots=True)
class Ended:
    """What the kernel says of a process that was waited for; see `Worked`."""

    code: int
    cpu_seconds: float
    peak_bytes: int


def end_group(leader: int) -> Ended | None:
    """End every process of a group by the ladder: interrupt, terminate, kill.

    Returns how the leader ended; None when it had been waited for before.
    """
    ended: Ended | None = None
    for sign, patience in LADDER:
        try:
            os.killpg(leader, sign)
        except ProcessLookupError:
            return ended
        waited = threading.Event()
        until = monotonic() + patience
        while monotonic() < until:
            with contextlib.suppress(ChildProcessError):
                ended = ended or _wait(leader, os.WNOHANG)
            try:
                os.killpg(leader, 0)
            except ProcessLookupError:
                return ended
            waited.wait(0.02)
    return ended


def _wait(process: int, options: int) -> Ended | None:
    """None with WNOHANG while the process runs."""
    found, status, usage = os.wait4(process, options)
    if found == 0:
        return None
    return Ended(
        os.waitstatus_to_exitcode(status),
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * 1024,
    )


def _pump(
    process: subprocess.Popen[bytes],
    kept: IO[bytes],
    on_line: Callable[[str], None],
    on_tick: Callable[[int], None],
    deadline: float | None,
) -> Ended:
    """Copy output until the process has ended; a line ends with a newline or a carriage return.

    The pipe closes then, unless something that the process left behind holds it open (a compiler
    cache's server): half a second of silence after the end is the end too, of the whole group.
    """
    assert process.stdout is not None  # noqa: S101 -- opened with PIPE above
    descriptor = process.stdout.fileno()
    os.set_blocking(descriptor, False)
    rest = b""
    ended: Ended | None = None
    with selectors.DefaultSelector() as ready:
        ready.register(descriptor, selectors.EVENT_READ)
        while True:
            if deadline is not None and monotonic() > deadline and ended is None:
                ended = end_group(process.pid)
            if ready.select(timeout=0.5):
                chunk = os.read(descriptor, 65536)
                if not chunk:
                    break
                kept.write(chunk)
                kept.flush()
                *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
                for line in lines:
                    on_line(line.decode(errors="replace"))
            elif ended is not None:
                end_group(process.pid)
                break
            else:
                ended = _wait(process.pid, os.WNOHANG)
            on_tick(process.pid)
    if rest:
        on_line(rest.decode(errors="replace"))
    return ended or _end_of(process.pid)


def _end_of(process: int) -> Ended:
    ended = _wait(process, 0)
    assert ended is not None  # noqa: S101 -- without WNOHANG, wait4 waits
    return ended


def dies_with_us() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []


def run_in_group(log: Path) -> RunCommand:
    """A `RunCommand` for long questions: in a group of its own, ended with us, kept in `log`.

    stdout and stderr come back as one, in `stdout`.
    """

    def run(
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 30.0,
    ) -> Completed:
        lines: list[str] = []
        worked = work(
            command,
            log=log,
            env=os.environ if env is None else env,
            cwd=cwd,
            on_line=lines.append,
            timeout=timeout,
        )
        return Completed(worked.code, "\n".join(lines), "")

    return run
