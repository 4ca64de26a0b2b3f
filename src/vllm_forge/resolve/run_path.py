"""Checkpoint, build and machine → what the engine is given, with which arguments, and why.

The order is native → fallback → repaired view → dequantized. The last always loads, in twice to
four times the memory.
"""

from dataclasses import dataclass
from typing import Final

from vllm_forge.records.checkpoint import Checkpoint, Format, Shape, Verdict, VerdictWord
from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.machine import Gpu, Machine
from vllm_forge.records.release import Release
from vllm_forge.records.run import RunDecision, RunKind, RunPath, RunWishes
from vllm_forge.records.specialization import MadeFor
from vllm_forge.resolve.gpu_arch import PTX, runs_on
from vllm_forge.resolve.match import choose_verdict
from vllm_forge.resolve.match_kernels import FALLBACK
from vllm_forge.resolve.run_arguments import (
    CPU,
    choose_arguments,
    choose_environment,
    refuse_remote_code,
    refuse_without_tokenizer,
)
from vllm_forge.resolve.run_room import choose_tensor_parallel, refuse_without_memory
from vllm_forge.resolve.specialize import refuse_other_checkpoint

BF16_BYTES: Final = 2
UNPACKABLE: Final = frozenset(
    {"FP8", "FP8_PER_CHANNEL_PER_TOKEN", "FP8_PB_WO", "MXFP8", "NVFP4", "W4A16_NVFP4"}
)
"""Layouts that `dequantize` unpacks."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The facts. `device` is what the build is for (`cpu`, `cuda`); `parameters` None: unknown.

    `gpu_arch` are the compute capabilities it was compiled for, `made_for` the only checkpoints
    that a specialized build runs; `flashinfer` whether the environment has it.
    """

    checkpoint: Checkpoint
    parameters: int | None
    release: Release
    device: str
    machine: Machine
    wishes: RunWishes
    gpu_arch: tuple[str, ...] = ()
    made_for: MadeFor | None = None
    flashinfer: bool = True


def choose_run(asked: Asked) -> RunDecision:
    """Everything decided, or everything that stands in the way, at once."""
    path = choose_run_path(asked)
    other = (
        refuse_remote_code(asked.checkpoint, asked.wishes),
        refuse_without_tokenizer(asked.checkpoint, asked.wishes),
    )
    refused = tuple(refusal for refusal in other if refusal is not None)
    if isinstance(path, Refused):
        return RunDecision(None, refused=(path, *refused))
    parallel = choose_parallel(asked, path.value)
    if isinstance(parallel, Refused):
        return RunDecision(path, refused=(parallel, *refused))
    return RunDecision(
        path,
        (*choose_arguments(asked.checkpoint, path.value, asked.wishes), *parallel),
        choose_environment(
            asked.device,
            asked.machine,
            path.value,
            asked.wishes.mode,
            flashinfer=asked.flashinfer,
        ),
        refused,
    )


def choose_run_path(asked: Asked) -> Decision[RunPath]:
    """Which weights, and through which reading."""
    if not asked.checkpoint.weights.tensors:
        why = Reason("there are no weights, only metadata", asked.checkpoint.path)
        return Refused("path", (why,), ("fetch the *.safetensors files of this checkpoint",))
    if asked.device == CPU:
        return choose_path_on_cpu(asked)
    if not asked.machine.gpus:
        known = asked.machine.gpus is not None
        why = Reason(
            f"this build is for {asked.device}, and "
            + ("there is no NVIDIA GPU here" if known else "whether there is a GPU is unknown"),
            "machine.gpus",
        )
        return Refused("path", (why,), ("vllm-forge build --device cpu",))
    capabilities = {gpu.capability for gpu in asked.machine.gpus if gpu.capability is not None}
    return (
        refuse_other_gpu(asked.gpu_arch, asked.machine.gpus)
        or refuse_other_checkpoint(
            asked.made_for, asked.checkpoint, asked.release, tuple(sorted(capabilities))
        )
        or choose_path_on_gpu(asked, asked.machine.gpus)
    )


def refuse_other_gpu(compiled: tuple[str, ...], gpus: tuple[Gpu, ...]) -> Refused | None:
    """A GPU that runs nothing of what was compiled; «no kernel image» would say so much later."""
    for gpu in gpus:
        capability = gpu.capability
        if capability is None or not compiled or any(one.endswith(PTX) for one in compiled):
            continue
        if not any(runs_on(architecture, capability) for architecture in compiled):
            there = f"this build has code for {', '.join(compiled)}"
            why = Reason(f"{there}, and the {gpu.name} is {capability}", "forge.json")
            return Refused("path", (why,), (f"vllm-forge build --gpu-arch {capability}",))
    return None


def choose_path_on_cpu(asked: Asked) -> Decision[RunPath]:
    """Plain weights as they are; ModelOpt's layers unpacked first."""
    verdict = choose_verdict(asked.checkpoint, asked.release, prefer=asked.wishes.prefer)
    if not is_quantized(asked.checkpoint):
        return choose_by_verdict(asked, verdict, ())
    why = Reason(
        f"ModelOpt's {asked.checkpoint.format} layers have no CPU kernels to rely on: vLLM 0.10.1 "
        "loads them and stops for want of _C.static_scaled_fp8_quant",
        "docs/run.md",
    )
    return dequantized(asked, verdict, (why,))


def choose_path_on_gpu(asked: Asked, gpus: tuple[Gpu, ...]) -> Decision[RunPath]:
    """By the GPU of the lowest capability: in tensor parallelism all run the same kernels."""
    lowest = lowest_capability(gpus)
    verdict = choose_verdict(asked.checkpoint, asked.release, lowest, prefer=asked.wishes.prefer)
    because: tuple[Reason, ...] = ()
    if lowest is None and is_quantized(asked.checkpoint):
        fact = f"the compute capability of {gpus[0].name} is unknown: only the reading was judged"
        because = (Reason(fact, "machine.gpus"),)
    if verdict.verdict is VerdictWord.REFUSED and is_quantized(asked.checkpoint):
        return dequantized(asked, verdict, verdict.because)
    return choose_by_verdict(asked, verdict, because)


def choose_by_verdict(
    asked: Asked, verdict: Verdict, because: tuple[Reason, ...]
) -> Decision[RunPath]:
    """The checkpoint itself, or a view of it."""
    if verdict.contradictions:
        reasons = tuple(Reason(said, "the checkpoint") for said in verdict.contradictions)
        ways = ("--prefer config.json", "--prefer hf_quant_config.json")
        return Refused("path", reasons, ways)
    match verdict.verdict:
        case VerdictWord.REFUSED:
            way = "vllm-forge inspect says which vLLM releases load it"
            return Refused("path", verdict.because, (way,))
        case VerdictWord.REPAIR:
            kind = RunKind.REPAIRED
        case _:
            kind = RunKind.FALLBACK if verdict.kernels == FALLBACK else RunKind.NATIVE
    size = sum(shard.size for shard in asked.checkpoint.weights.shards)
    return with_room(asked, Chosen("path", RunPath(kind, verdict, size), because + verdict.because))


def dequantized(asked: Asked, verdict: Verdict, because: tuple[Reason, ...]) -> Decision[RunPath]:
    """BF16, if the layouts are known and the memory holds it."""
    unknown = set(asked.checkpoint.observed) - UNPACKABLE
    if unknown:
        also = Reason(f"{', '.join(sorted(unknown))} is not unpacked here", "the tensors' layouts")
        way = "a vLLM release, or a GPU, that loads it: vllm-forge inspect lists them"
        return Refused("path", (*because, also), (way,))
    size = BF16_BYTES * (asked.parameters or 0)
    path = Chosen("path", RunPath(RunKind.DEQUANTIZED, verdict, size), because)
    return with_room(asked, path)


def with_room(asked: Asked, path: Chosen[RunPath]) -> Decision[RunPath]:
    if asked.device != CPU:
        return path  # choose_parallel spreads it over the GPUs, or refuses
    return refuse_without_memory(asked.machine, path.value.weight_bytes) or path


def choose_parallel(asked: Asked, path: RunPath) -> tuple[Chosen[int], ...] | Refused:
    """`tensor_parallel_size`, where there is one to pass."""
    if asked.device == CPU and asked.wishes.tensor_parallel_size is None:
        return ()
    chosen = choose_tensor_parallel(
        asked.checkpoint.model.dimensions,
        path.weight_bytes,
        asked.machine.gpus or (),
        asked.wishes.tensor_parallel_size,
    )
    match chosen:
        case Refused():
            return chosen
        case Chosen(value=1) if asked.wishes.tensor_parallel_size is None:
            return ()
        case _:
            return (chosen,)


def is_quantized(checkpoint: Checkpoint) -> bool:
    """By ModelOpt; a KV-cache scheme alone leaves the weights plain."""
    return checkpoint.format is not Format.NONE and checkpoint.shape is not Shape.NOT_MODELOPT


def lowest_capability(gpus: tuple[Gpu, ...]) -> str | None:
    """None where none is known."""
    known = [gpu.capability for gpu in gpus if gpu.capability is not None]
    return min(known, key=as_pair, default=None)


def as_pair(capability: str) -> tuple[int, int]:
    """`10.0` is more than `9.0`."""
    major, _, minor = capability.partition(".")
    return int(major), int(minor or 0)
