"""`serve`, answered by the official client: completion, streaming, the list of models, stop."""

import contextlib
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from vllm_forge.records.built import Built
from vllm_forge.records.problem import ExitCode
from vllm_forge.run.descendants import find_descendants, read_parent

if TYPE_CHECKING:
    from tests.support.program import Forge, Running

pytestmark = [pytest.mark.network, pytest.mark.compile, pytest.mark.slow]

CLIENT = """
import json, sys
from openai import OpenAI
client = OpenAI(base_url=sys.argv[1], api_key="none")
models = [model.id for model in client.models.list()]
asked = {"model": models[0], "prompt": "hello there", "max_tokens": 8, "temperature": 0}
whole = client.completions.create(**asked)
parts = [part.choices[0].text for part in client.completions.create(stream=True, **asked)]
print(json.dumps({
    "models": models,
    "text": whole.choices[0].text,
    "tokens": whole.usage.completion_tokens,
    "parts": parts,
}))
"""
"""Run by the built environment, which has the client: it is one of vLLM's requirements."""
EAGER = ("--", "--enforce-eager", "--max-model-len", "256")


@pytest.fixture
def server(forge: "Forge", built: Built, export: Path) -> "Iterator[Running]":
    """Started, not yet ready; ended when a test has failed to."""
    own = forge.under(VLLM_CPU_KVCACHE_SPACE="1", HF_HUB_OFFLINE="1")
    running = own.start("serve", export, "--port", "0", "--env", built.environment, *EAGER)
    yield running
    if running.process.poll() is None:
        running.end(signal.SIGTERM)


def url_of(running: "Running") -> str:
    return running.wait_for("[serve] done: ready: ").rpartition(" ")[2]


def processes_of(server: "Running") -> tuple[int, ...]:
    """The engine renames itself, environment included: it is found by its ancestors."""
    return find_descendants(server.process.pid)


def has_engine(server: "Running") -> bool:
    for process in processes_of(server):
        with contextlib.suppress(OSError):
            if b"EngineCore" in Path(f"/proc/{process}/cmdline").read_bytes():
                return True
    return False


def expect_gone(processes: tuple[int, ...], seconds: float) -> None:
    until = time.monotonic() + seconds
    alive = [process for process in processes if read_parent(Path(f"/proc/{process}"))]
    while alive and time.monotonic() < until:
        time.sleep(0.1)
        alive = [process for process in processes if read_parent(Path(f"/proc/{process}"))]
    assert alive == []


def ask(built: Built, url: str) -> Any:  # noqa: ANN401 -- JSON
    command = [built.python, "-c", CLIENT, url]
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_client_is_answered_and_sigterm_ends_it(
    server: "Running", built: Built, export: Path
) -> None:
    said = ask(built, url_of(server))
    assert said["models"] == [str(export)]
    assert said["tokens"] == 8
    assert len(said["parts"]) > 1
    assert "".join(said["parts"]) == said["text"]
    assert has_engine(server)
    processes = processes_of(server)
    assert len(processes) >= 3
    assert server.end(signal.SIGTERM) == ExitCode.DONE
    assert "processes had to be killed" not in server.said
    expect_gone(processes, 0.0)


def test_interrupt_while_it_loads(server: "Running") -> None:
    server.wait_until(lambda: has_engine(server))
    processes = processes_of(server)
    assert server.end(signal.SIGINT) == ExitCode.INTERRUPTED
    expect_gone(processes, 2.0)  # a killed process takes its time on a crowded machine


def test_killed_forge_leaves_no_server(server: "Running") -> None:
    """The kernel tells the server; it ends its engine by itself."""
    url_of(server)
    processes = processes_of(server)
    assert server.end(signal.SIGKILL) == -signal.SIGKILL
    expect_gone(processes, 30.0)


def test_dying_engine_says_why(forge: "Forge", built: Built, export: Path) -> None:
    words = ("--port", "0", "--env", built.environment, "--", "--max-model-len", "100000")
    done = forge("serve", export, *words)
    assert done.returncode == ExitCode.FAILED
    causes = [line for line in done.stderr.splitlines() if line.startswith("  cause: ")]
    assert "ValidationError: 1 validation error for ModelConfig" in causes[0]
    assert "User-specified max_model_len (100000)" in causes[1]
