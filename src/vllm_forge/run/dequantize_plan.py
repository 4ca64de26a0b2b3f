"""What to unpack, and where every byte of the output goes. Values only; nothing is read here."""

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

from vllm_forge.checkpoint.evidence import some
from vllm_forge.checkpoint.modules import SCALES, Module, modules_of, observed_algorithm
from vllm_forge.records.checkpoint import Checkpoint, DequantizedTensor, Tensor
from vllm_forge.records.problem import ExitCode, Problem

SHARD_BYTES: Final = 5_000_000_000
"""What the hub's own tools split at."""
BF16_BYTES: Final = 2
KINDS: Final = {
    "FP8": "fp8",
    "FP8_PER_CHANNEL_PER_TOKEN": "fp8-rows",
    "FP8_PB_WO": "fp8-blocks",
    "MXFP8": "mxfp8",
    "NVFP4": "nvfp4",
    "W4A16_NVFP4": "nvfp4",
}
"""Algorithm, as the tensors look → the worker's kind."""
CHANGES_ACTIVATIONS: Final = ("pre_quant_scale", "svdquant_lora_a", "svdquant_lora_b")
"""Parts that mean something else than `weight x scale`."""
HEADER_ALIGNMENT: Final = 8


@dataclass(frozen=True, slots=True)
class OutputTensor:
    """One tensor of the output: `job` is what the worker is told, `size` its bytes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: int
    job: dict[str, Any]
    algorithm: str | None = None


@dataclass(frozen=True, slots=True)
class OutputShard:
    file: str
    header: str
    size: int
    tensors: tuple[OutputTensor, ...]


def plan_output(checkpoint: Checkpoint, shard_bytes: int = SHARD_BYTES) -> tuple[OutputShard, ...]:
    """Shards of about `shard_bytes`, tensors in their old order, scales left out.

    Raises:
        Problem: exit 5 when weights are missing or cut off; 3 when nothing is quantized, or
            something is in a way that is not unpacked here.
    """
    refuse_damaged(checkpoint)
    modules = modules_of(checkpoint.weights.tensors)
    refuse_unknown(checkpoint, modules)
    outputs: list[OutputTensor] = []
    for module in modules.values():
        algorithm = observed_algorithm(module)
        for part, tensor in module.parts.items():
            if part == "weight" and algorithm is not None:
                outputs.append(unpacked(checkpoint, module, tensor, algorithm))
            elif part not in SCALES:
                outputs.append(kept(checkpoint, tensor))
    if all(output.algorithm is None for output in outputs):
        raise Problem(f"{checkpoint.path}: nothing is quantized here", exit_code=ExitCode.REFUSED)
    return shards_of(outputs, shard_bytes)


def refuse_damaged(checkpoint: Checkpoint) -> None:
    weights = checkpoint.weights
    cut = [shard.file for shard in weights.shards if shard.size != shard.promised_size]
    causes = [f"{name} is missing" for name in weights.missing]
    causes += [f"{name} is truncated or overlong" for name in cut]
    names = [tensor.name for tensor in weights.tensors]
    if len(set(names)) < len(names):
        causes.append("the same tensor is in several files")
    if not weights.shards:
        causes.append("no *.safetensors")
    if causes:
        raise Problem(
            f"{checkpoint.path}: the weights are not whole",
            causes=some(causes),
            hints=(f"vllm-forge inspect {checkpoint.path}",),
            exit_code=ExitCode.BAD_INPUT,
        )


def refuse_unknown(checkpoint: Checkpoint, modules: dict[str, Module]) -> None:
    strange = [
        f"{module.name}: {observed}"
        for module in modules.values()
        if (observed := observed_algorithm(module)) is not None
        and (
            observed not in KINDS
            or any(part in module.parts for part in CHANGES_ACTIVATIONS)
            or not fits(module, observed)
        )
    ]
    if strange:
        raise Problem(
            f"{checkpoint.path}: {len(strange)} weights are packed in a way that is not unpacked "
            "here",
            causes=some(strange),
            hints=(f"vllm-forge inspect {checkpoint.path}",),
            exit_code=ExitCode.REFUSED,
        )


def fits(module: Module, algorithm: str) -> bool:
    """Every scale has the shape that unpacking goes by."""
    weight, scale = module.weight, module.block_scale
    if weight is None or scale is None:
        return False
    if KINDS[algorithm] in {"fp8", "fp8-rows"}:
        rows = prod(weight.shape[:-1])
        return prod(scale.shape) > 0 and rows % prod(scale.shape) == 0
    if len(weight.shape) != 2:  # noqa: PLR2004 -- the layout of fused experts is another one
        return False
    rows, columns = weight.shape
    if algorithm == "FP8_PB_WO":
        return prod(scale.shape) == -(-rows // 128) * -(-columns // 128)
    if algorithm == "MXFP8":
        return columns % 32 == 0 and scale.shape == (rows, columns // 32)
    second = module.parts.get("weight_scale_2")
    whole = second is not None and second.dtype == "F32" and prod(second.shape) == 1
    return whole and columns % 8 == 0 and scale.shape == (rows, columns // 8)


def unpacked(
    checkpoint: Checkpoint, module: Module, weight: Tensor, algorithm: str
) -> OutputTensor:
    packed = 2 if KINDS[algorithm] == "nvfp4" else 1
    shape = (*weight.shape[:-1], weight.shape[-1] * packed)
    kind = KINDS[algorithm]
    scale = module.block_scale
    if kind == "fp8" and scale is not None and prod(scale.shape) > 1:
        kind = "fp8-rows"  # one scale for each expert of a fused weight
    job: dict[str, Any] = {
        "kind": kind,
        "weight": place(checkpoint, weight),
        "rows": prod(shape[:-1]),
        "columns": shape[-1],
        "scale": place(checkpoint, scale) if scale else None,
    }
    second = module.parts.get("weight_scale_2")
    if kind == "nvfp4" and second is not None:
        job["scale_2"] = place(checkpoint, second)
    return OutputTensor(weight.name, "BF16", shape, BF16_BYTES * prod(shape), job, algorithm)


def kept(checkpoint: Checkpoint, tensor: Tensor) -> OutputTensor:
    size = tensor.stop - tensor.start
    job = {"kind": "copy", "weight": place(checkpoint, tensor), "size": size}
    return OutputTensor(tensor.name, tensor.dtype, tensor.shape, size, job)


def place(checkpoint: Checkpoint, tensor: Tensor) -> dict[str, Any]:
    return {
        "file": str(Path(checkpoint.path) / tensor.file),
        "start": tensor.start,
        "dtype": tensor.dtype,
        "count": prod(tensor.shape),
    }


def shards_of(outputs: list[OutputTensor], shard_bytes: int) -> tuple[OutputShard, ...]:
    """Filled in order; a tensor larger than a shard has one to itself."""
    groups: list[list[OutputTensor]] = [[]]
    room = shard_bytes
    for output in outputs:
        if groups[-1] and output.size > room:
            groups.append([])
            room = shard_bytes
        groups[-1].append(output)
        room -= output.size
    if len(groups) == 1:
        return (shard_of("model.safetensors", groups[0]),)
    return tuple(
        shard_of(f"model-{number:05d}-of-{len(groups):05d}.safetensors", group)
        for number, group in enumerate(groups, 1)
    )


def shard_of(file: str, tensors: list[OutputTensor]) -> OutputShard:
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in tensors:
        offsets = [end, end + tensor.size]
        entries[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": tensor.shape,
            "data_offsets": offsets,
        }
        end += tensor.size
    header = json.dumps(entries, separators=(",", ":"), ensure_ascii=False)
    length = len(header.encode())
    padding = -length % HEADER_ALIGNMENT
    return OutputShard(file, header + " " * padding, 8 + length + padding + end, tuple(tensors))


def dequantized_of(shards: tuple[OutputShard, ...]) -> tuple[DequantizedTensor, ...]:
    return tuple(
        DequantizedTensor(tensor.name, tensor.algorithm, tensor.shape, shard.file)
        for shard in shards
        for tensor in shard.tensors
        if tensor.algorithm is not None
    )
