"""vLLM's own OpenAI server: started, awaited, stopped, and nothing of it left behind."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import IO, Final

from vllm_forge.checkpoint.trouble import shown
from vllm_forge.diagnose.text import ESCAPES
from vllm_forge.records.event import Emit, StepFailed, StepFinished, StepProgress, StepStarted
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.descendants import adopt_orphans, end_descendants, find_descendants
from vllm_forge.run.engine_failure import engine_failure, read_tail
from vllm_forge.run.process import dies_with_us

STEP: Final = "serve"
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
STOP_SECONDS: Final = 20.0
"""How long vLLM may take to answer what is under way and to end its engine."""
LOADING_STOP_SECONDS: Final = 5.0
"""The same while it loads: there is nothing to answer."""
PROBE_SECONDS: Final = 2.0
TICK_SECONDS: Final = 0.25
LINE_BYTES: Final = 4096
ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- looked up, not bound


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    @property
    def url(self) -> str:
        """As a client on this machine writes it; IPv6 in brackets."""
        host = ANYWHERE.get(self.host, self.host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


class Stopping:
    """Set by SIGTERM and SIGINT; `signal` is the first of them, `times` how many there were."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.times = 0

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.signal = self.signal or number
        self.times += 1

    @property
    def asked(self) -> bool:
        return self.times > 0

    @property
    def exit_code(self) -> ExitCode:
        """SIGTERM is how a server is meant to end; ^C is an interruption."""
        return ExitCode.INTERRUPTED if self.signal == signal.SIGINT else ExitCode.DONE

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """While the body runs the signals are noted here, and raise nothing."""
        before = {number: signal.signal(number, self) for number in STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def choose_address(host: str, port: int) -> Address:
    """The port when it is free; a free one for 0.

    Asked before minutes are spent on loading a model.

    Raises:
        Problem: exit 2 for a host that is not ours or a port that is taken or not allowed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return Address(host, probe.getsockname()[1])
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Problem(
            f"{host} port {port} cannot be listened on: {reason}",
            hints=("--port 0 chooses a free one",),
            exit_code=ExitCode.USAGE,
        ) from error


class Server:
    """A running server; `stop` ends every process of it."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        address: Address,
        environ: Mapping[str, str],
        log: Path,
    ) -> None:
        self.address = address
        self.log = log
        self._idle = threading.Event()
        self._ready = False
        self._spared = frozenset(find_descendants(os.getpid()))
        adopt_orphans()
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        words = [str(word) for word in command]
        with log.open("ab") as kept:
            kept.write(f"$ {' '.join(words)}\n".encode())
            kept.flush()
            self._process = subprocess.Popen(
                [*dies_with_us(), *words],
                env=dict(environ),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=kept,
                stderr=subprocess.STDOUT,
            )

    @contextlib.contextmanager
    def ended_on_error(self) -> Iterator[None]:
        """Whatever leaves the body early, no process of the server outlives it."""
        try:
            yield
        except BaseException:
            self.stop()
            raise

    def await_ready(self, stopping: Stopping, emit: Emit) -> bool:
        """Until /health answers 200; False when a signal came first.

        Raises:
            Problem: exit 1 with the engine's root error when the server ended instead.
        """
        emit(StepStarted(STEP, f"load the model; log: {self.log}", monotonic()))
        while not stopping.asked:
            emit(StepProgress(STEP, monotonic(), 0, None, "lines", last_line(self.log)))
            if self._process.poll() is not None:
                failure = self._failure("the server ended before it was ready")
                emit(StepFailed(STEP, monotonic(), failure.causes[0], str(self.log)))
                raise failure
            if is_healthy(self.address):
                self._ready = True
                emit(StepFinished(STEP, monotonic(), f"ready: {self.address.url}/v1"))
                return True
            self._idle.wait(TICK_SECONDS)
        return False

    def await_end(self, stopping: Stopping) -> None:
        """Until a signal comes.

        Raises:
            Problem: exit 1 with the engine's root error when the server ended by itself.
        """
        while not stopping.asked:
            if self._process.poll() is not None:
                raise self._failure("the server ended")
            self._idle.wait(TICK_SECONDS)

    def stop(self, stopping: Stopping | None = None) -> tuple[int, ...]:
        """End it: vLLM has some seconds, then what it left behind is ended. Repeatable.

        Only the API server is told: it ends the engine's processes in order. A second signal
        means: at once. Returns the processes that had to be killed.
        """
        if self._process.poll() is None:
            self._process.terminate()
        until = monotonic() + (STOP_SECONDS if self._ready else LOADING_STOP_SECONDS)
        while self._process.poll() is None and monotonic() < until:
            if stopping is not None and stopping.times > 1:
                break
            self._idle.wait(TICK_SECONDS)
        return end_descendants(self._spared)

    def _failure(self, message: str) -> Problem:
        return engine_failure(f"{message} (exit code {self._process.returncode})", self.log)


def last_line(log: Path) -> tuple[str, ...]:
    """What the engine said last: () when nothing yet. Its colours are left out."""
    lines = [line for line in read_tail(log, LINE_BYTES).splitlines() if line.strip()]
    return tuple(shown(ESCAPES.sub("", line)) for line in lines[-1:])


def is_healthy(address: Address) -> bool:
    """Whether /health answers 200: vLLM's own question to its engine."""
    host = ANYWHERE.get(address.host, address.host)
    connection = http.client.HTTPConnection(host, address.port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def copy_log(log: Path, start: int, out: IO[str], done: threading.Event) -> None:
    """Carry a growing log, from that byte on, to `out` until `done`."""
    with log.open(encoding="utf-8", errors="replace") as lines:
        lines.seek(start)
        while True:
            ending = done.is_set()
            while line := lines.readline():
                out.write(line)
            out.flush()
            if ending:
                return
            done.wait(TICK_SECONDS)
