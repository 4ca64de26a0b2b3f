"""Real text from a tiny model that is made here: the whole engine, end to end."""

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from vllm_forge.records.check import Check, CheckStatus
from vllm_forge.records.doors import RunCommand
from vllm_forge.verify.environment import parse_answer, root_error

MAKE_SECONDS = 180.0
GENERATE_SECONDS = 600.0
PROMPT = "The bare machine said:"
TOKENS = 16

OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
CPU_MEMORY = {"VLLM_CPU_KVCACHE_SPACE": "1"}
"""GiB of key-value cache; vLLM's CPU default of 4 is more than a tiny model needs."""


@dataclass(frozen=True, slots=True)
class Generated:
    """`seconds`: import, load, generate."""

    text: str
    tokens: int
    seconds: dict[str, float]


def worker(name: str) -> Path:
    """The path of a script that the built environment's Python runs."""
    return Path(str(files("vllm_forge.verify.workers").joinpath(f"{name}.py")))


def prove_generation(
    python: Path,
    model: Path,
    *,
    cpu: bool,
    environ: dict[str, str],
    run: RunCommand,
    cwd: Path,
) -> tuple[Check, Generated | None]:
    """Make the tiny model if it is not there, then generate `TOKENS` tokens with vLLM.

    In processes of their own, with time limits; nothing is fetched. On a failure the check's
    evidence is the engine's root error.
    """
    offline = {**environ, **OFFLINE, **(CPU_MEMORY if cpu else {})}
    if not (model / "tokenizer_config.json").exists():
        made = run(
            [python, worker("make_tiny_llama"), model], env=offline, cwd=cwd, timeout=MAKE_SECONDS
        )
        if made.code != 0:
            return _failed("the tiny model could not be made", made.stdout + made.stderr), None
    asked = {
        "model": str(model),
        "prompts": [PROMPT],
        "max_tokens": TOKENS,
        "arguments": {"enforce_eager": True, "dtype": "bfloat16", "max_model_len": 256},
    }
    said = run(
        [python, worker("generate"), json.dumps(asked)],
        env=offline,
        cwd=cwd,
        timeout=GENERATE_SECONDS,
    )
    answer = parse_answer(said.stdout)
    if said.code != 0 or answer is None:
        return _failed("vLLM generated nothing", f"{said.stdout}\n{said.stderr}"), None
    return _judge(answer)


def _judge(answer: dict[str, object]) -> tuple[Check, Generated | None]:
    outputs, seconds = answer["outputs"], answer["seconds"]
    if not isinstance(outputs, list) or not isinstance(seconds, dict) or not outputs:
        return _failed("the worker's answer is not understood", json.dumps(answer)), None
    generated = Generated(str(outputs[0]["text"]), int(outputs[0]["tokens"]), seconds)
    if generated.tokens != TOKENS:
        return _failed(f"{generated.tokens} tokens instead of {TOKENS}", ""), generated
    whole = sum(generated.seconds.values())
    detail = f"{generated.tokens} tokens from a tiny Llama in {whole:.0f} s"
    return Check(
        "generate:tiny-llama", CheckStatus.PASSED, detail, (repr(generated.text),)
    ), generated


def _failed(detail: str, said: str) -> Check:
    evidence = root_error(said)
    reason = f"{detail}: {evidence[0]}" if evidence else detail
    return Check("generate:tiny-llama", CheckStatus.FAILED, reason, evidence)
