"""Text from a checkpoint, by the built vLLM, in a process of its own."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Final

import msgspec

from vllm_forge.records.built import Built
from vllm_forge.records.event import Emit, StepFailed, StepFinished, StepStarted
from vllm_forge.records.home import Home
from vllm_forge.records.problem import Problem
from vllm_forge.records.run import Generated
from vllm_forge.run.engine_failure import engine_failure
from vllm_forge.run.process import work
from vllm_forge.verify.environment import parse_answer
from vllm_forge.verify.generation import OFFLINE, worker

STEP: Final = "generate"


@dataclass(frozen=True, slots=True)
class Request:
    """`prompts` are texts or token ids; `arguments` go to `vllm.LLM`, `environment` to its process.

    Not `offline`: the model's own code lies on the hub.
    """

    model: Path
    prompts: tuple[str | tuple[int, ...], ...]
    max_tokens: int
    arguments: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    offline: bool = True


def generate(
    request: Request, built: Built, home: Home, environ: Mapping[str, str], emit: Emit
) -> Generated:
    """Load and answer, greedily.

    The prompts go by a file, so that no list of processes shows them. What `environ` says of a
    variable goes before the request's.

    Raises:
        Problem: exit 1 with the engine's root error.
    """
    log = home.logs(built.key) / "run.log"
    log.unlink(missing_ok=True)
    scratch = home.path / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    emit(StepStarted(STEP, f"generate with vLLM {built.version}", monotonic()))
    lines: list[str] = []
    with tempfile.NamedTemporaryFile("w", dir=scratch, suffix=".json", encoding="utf-8") as asked:
        json.dump(asked_of(request), asked)
        asked.flush()
        worked = work(
            [built.python, worker(STEP), asked.name],
            log=log,
            env={**(OFFLINE if request.offline else {}), **request.environment, **environ},
            cwd=scratch,
            on_line=lines.append,
        )
    answer = parse_answer("\n".join(lines))
    if worked.code != 0 or answer is None:
        failure = engine_failure(f"vLLM {built.version} generated nothing", log)
        emit(StepFailed(STEP, monotonic(), failure.causes[0], str(log)))
        raise failure
    generated = read_generated(answer, log)
    emit(StepFinished(STEP, monotonic(), sum_up(generated)))
    return generated


def asked_of(request: Request) -> dict[str, Any]:
    """What the worker reads."""
    return {
        "model": str(request.model),
        "prompts": request.prompts,
        "max_tokens": request.max_tokens,
        "arguments": request.arguments,
        "ignore_eos": False,
    }


def read_generated(answer: dict[str, object], log: Path) -> Generated:
    try:
        return msgspec.convert(answer, Generated)
    except msgspec.ValidationError as error:
        raise Problem(f"the worker's answer in {log} is not understood: {error}") from error


def sum_up(generated: Generated) -> str:
    tokens = sum(output.tokens for output in generated.outputs)
    parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in generated.seconds.items())
    return f"{tokens} tokens; {parts}"
