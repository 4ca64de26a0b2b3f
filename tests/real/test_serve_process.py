"""The server's processes: awaited, stopped, none left behind. A small server stands for vLLM."""

import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vllm_forge.records.event import Event, StepFailed, StepFinished
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run import serve
from vllm_forge.run.descendants import find_descendants
from vllm_forge.run.serve import Server, Stopping, choose_address

SERVER = r"""
import http.server, os, signal, subprocess, sys, time
port, mood = int(sys.argv[1]), sys.argv[2]
started = time.monotonic()
subprocess.Popen(["sleep", "3001"])                            # an ordinary child
if os.fork() == 0:                                             # one that leaves the session,
    os.setsid()                                                # and whose parent ends
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", "3002"])
    os._exit(0)
os.wait()
if mood == "dying":
    print("ValueError: the model has 3 heads")
    print("RuntimeError: Engine core initialization failed. See root cause above.", flush=True)
    sys.exit(1)
if mood == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        ready = time.monotonic() - started > 0.6 and mood != "loading"
        self.send_response(200 if ready and self.path == "/health" else 503)
        self.end_headers()
    def log_message(self, *words):
        print("INFO: asked", flush=True)
http.server.HTTPServer(("127.0.0.1", port), Health).serve_forever()
"""


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def before() -> frozenset[int]:
    return frozenset(find_descendants(os.getpid()))


@contextlib.contextmanager
def started(tmp_path: Path, mood: str) -> Iterator[Server]:
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    address = choose_address("127.0.0.1", 0)
    command: list[str | Path] = [sys.executable, script, str(address.port), mood]
    server = Server(command, address=address, environ=os.environ, log=tmp_path / "server.log")
    with server.ended_on_error():
        yield server
        server.stop()


def left(before: frozenset[int]) -> list[int]:
    """What runs below us that did not before."""
    return [process for process in find_descendants(os.getpid()) if process not in before]


def test_ready_then_stopped_with_all_it_started(
    tmp_path: Path, events: list[Event], before: frozenset[int]
) -> None:
    stopping = Stopping()
    with started(tmp_path, "willing") as server:
        assert server.await_ready(stopping, events.append)
        assert isinstance(events[-1], StepFinished)
        assert server.address.url in events[-1].summary
        assert len(left(before)) == 3
        assert server.stop() == ()
        assert left(before) == []


def test_port_is_free_again(tmp_path: Path, events: list[Event]) -> None:
    with started(tmp_path, "willing") as server:
        assert server.await_ready(Stopping(), events.append)
        port = server.address.port
        with pytest.raises(Problem, match=f"port {port} cannot be listened on") as taken:
            choose_address("127.0.0.1", port)
        assert taken.value.exit_code is ExitCode.USAGE
        server.stop()
        assert choose_address("127.0.0.1", port).port == port


def test_root_error_is_told_not_the_last_line(
    tmp_path: Path, events: list[Event], before: frozenset[int]
) -> None:
    with pytest.raises(Problem) as died, started(tmp_path, "dying") as server:
        server.await_ready(Stopping(), events.append)
    assert died.value.exit_code is ExitCode.FAILED
    assert died.value.causes[0] == "ValueError: the model has 3 heads"
    assert "exit code 1" in died.value.message
    assert isinstance(events[-1], StepFailed)
    assert left(before) == []


def test_signal_while_loading_ends_the_wait(
    tmp_path: Path, events: list[Event], before: frozenset[int]
) -> None:
    stopping = Stopping()
    with started(tmp_path, "loading") as server:
        stopping(15, None)
        assert not server.await_ready(stopping, events.append)
        assert stopping.exit_code is ExitCode.DONE
    assert left(before) == []


def test_what_ignores_the_signal_is_killed(
    tmp_path: Path,
    events: list[Event],
    before: frozenset[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serve, "STOP_SECONDS", 0.3)
    with started(tmp_path, "stubborn") as server:
        assert server.await_ready(Stopping(), events.append)
        assert len(server.stop()) == 1
    assert left(before) == []


def test_second_interrupt_hurries(tmp_path: Path, events: list[Event]) -> None:
    stopping = Stopping()
    with started(tmp_path, "stubborn") as server:
        assert server.await_ready(stopping, events.append)
        stopping(2, None)
        stopping(2, None)
        begun = time.monotonic()
        server.stop(stopping)
        assert time.monotonic() - begun < serve.STOP_SECONDS / 2
        assert stopping.exit_code is ExitCode.INTERRUPTED


def test_others_are_spared(tmp_path: Path, events: list[Event]) -> None:
    own, other = socket.socketpair()
    child = os.fork()
    if child == 0:
        own.close()
        other.recv(1)
        os._exit(7)
    with started(tmp_path, "willing") as server:
        assert server.await_ready(Stopping(), events.append)
    own.send(b".")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    own.close()
    other.close()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1"])
def test_hosts_that_are_not_ours(host: str) -> None:
    with pytest.raises(Problem) as refused:
        choose_address(host, 0)
    assert refused.value.exit_code is ExitCode.USAGE
