"""The engine's arguments and variables, each with its reason; and what is refused beforehand."""

from typing import Any, Final

from vllm_forge.records.checkpoint import Checkpoint
from vllm_forge.records.decision import Chosen, Reason, Refused
from vllm_forge.records.machine import Machine
from vllm_forge.records.run import Mode, RunKind, RunPath, RunWishes
from vllm_forge.resolve.run_room import GIB, in_gib, smallest

CPU: Final = "cpu"
COMMAND_LINE: Final = "the command line"
CACHE_VARIABLE: Final = "VLLM_CPU_KVCACHE_SPACE"
MOST_CACHE_GIB: Final = 4
"""vLLM's own default on a CPU (0.10.1, platforms/cpu.py:112)."""


def choose_arguments(
    checkpoint: Checkpoint, path: RunPath, wishes: RunWishes
) -> tuple[Chosen[Any], ...]:
    """Only what differs from vLLM's defaults."""
    chosen: list[Chosen[Any]] = []
    quantization = path.verdict.quantization
    if quantization is not None and path.kind is not RunKind.DEQUANTIZED:
        chosen.append(Chosen("quantization", quantization, path.verdict.because))
    if checkpoint.model.remote_code and wishes.trust_remote_code:
        files = ", ".join(checkpoint.model.remote_code)
        why = Reason(f"--trust-remote-code: runs {files}", COMMAND_LINE)
        chosen.append(Chosen("trust_remote_code", True, (why,)))  # noqa: FBT003 -- a value
    if wishes.tokenizer is not None:
        why = Reason(f"--tokenizer {wishes.tokenizer}", COMMAND_LINE)
        chosen.append(Chosen("tokenizer", wishes.tokenizer, (why,)))
    elif not checkpoint.tokenizer:
        why = Reason("there is no tokenizer; token ids go in and come out", checkpoint.path)
        chosen.append(Chosen("skip_tokenizer_init", True, (why,)))  # noqa: FBT003 -- a value
    if wishes.max_model_len is not None:
        why = Reason(f"--max-model-len {wishes.max_model_len}", COMMAND_LINE)
        chosen.append(Chosen("max_model_len", wishes.max_model_len, (why,)))
    if wishes.mode is Mode.GENERATE:
        why = Reason("for one answer, compiling graphs takes longer than it saves", "docs/run.md")
        chosen.append(Chosen("enforce_eager", True, (why,)))  # noqa: FBT003 -- a value
    return tuple(chosen)


def choose_environment(
    device: str, machine: Machine, path: RunPath, mode: Mode, *, flashinfer: bool
) -> tuple[Chosen[str], ...]:
    """Variables for the engine's processes."""
    chosen: list[Chosen[str]] = []
    if mode is Mode.GENERATE:
        why = Reason(
            "one answer needs no engine process of its own; it would import everything twice",
            "docs/run.md",
        )
        chosen.append(Chosen("VLLM_ENABLE_V1_MULTIPROCESSING", "0", (why,)))
    if device == CPU:
        chosen += choose_cache_space(machine, path.weight_bytes)
    elif not flashinfer:
        why = Reason(
            "flashinfer is not installed, and newer trees sample with it on a GPU unasked",
            "the environment's packages",
        )
        chosen.append(Chosen("VLLM_USE_FLASHINFER_SAMPLER", "0", (why,)))
    return tuple(chosen)


def choose_cache_space(machine: Machine, weight_bytes: int) -> tuple[Chosen[str], ...]:
    """On a CPU, a key-value cache that leaves room for the weights."""
    memory = machine.memory
    free = smallest(memory.available_bytes, memory.limit_bytes, memory.total_bytes)
    if free is None:
        return ()
    space = min(MOST_CACHE_GIB, max(1, (free - weight_bytes) // 2 // GIB))
    why = Reason(
        f"GiB of key-value cache: at most half of what {in_gib(weight_bytes)} of weights leave of "
        f"{in_gib(free)}, at most vLLM's default of {MOST_CACHE_GIB}",
        "machine.memory",
    )
    return (Chosen(CACHE_VARIABLE, str(space), (why,)),)


def refuse_remote_code(checkpoint: Checkpoint, wishes: RunWishes) -> Refused | None:
    """A model's own Python runs only on the user's word."""
    files = checkpoint.model.remote_code
    if not files or wishes.trust_remote_code is not None:
        return None
    why = Reason(
        f"this model brings Python that would run with your rights: {', '.join(files)}",
        checkpoint.path,
    )
    return Refused(
        "trust_remote_code",
        (why,),
        (
            "read these files, then --trust-remote-code",
            "--no-trust-remote-code runs none of them; vLLM may know the model itself",
        ),
    )


def refuse_without_tokenizer(checkpoint: Checkpoint, wishes: RunWishes) -> Refused | None:
    """Text needs a tokenizer; so does the server, whatever it is sent."""
    if checkpoint.tokenizer or wishes.tokenizer is not None or not wishes.text:
        return None
    why = Reason("there is no tokenizer: text can be neither read nor written", checkpoint.path)
    ways = ["--tokenizer DIR names one", "copy the original model's tokenizer files beside it"]
    if wishes.mode is Mode.GENERATE:
        ways.append("--prompt-token-ids 1,2,3 gives token ids instead of text")
    return Refused("tokenizer", (why,), tuple(ways))
