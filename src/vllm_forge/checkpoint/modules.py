"""Tensors grouped by the module they belong to, and how each module is quantized by their looks."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import prod
from typing import Final

from vllm_forge.records.checkpoint import Tensor

SCALES: Final = (
    "weight_scale",
    "weight_scale_2",
    "weight_scale_inv",
    "input_scale",
    "k_scale",
    "v_scale",
    "k_bias",
    "v_bias",
    "pre_quant_scale",
    "svdquant_lora_a",
    "svdquant_lora_b",
    "output_scale",
)
"""What ModelOpt's exporter puts beside a weight, and `weight_scale_inv`, which it keeps from vendor
block-FP8 checkpoints."""

FUSED_EXPERTS: Final = ("gate_up_proj", "down_proj")
"""Llama 4 and GPT-OSS keep all experts in one 3-D parameter, its scales joined by an underscore."""

PLAIN_DTYPES: Final = {"BF16", "F16", "F32"}


@dataclass(slots=True)
class Module:
    """`parts` is what follows the module's name (`weight`, `weight_scale`…) → tensor."""

    name: str
    parts: dict[str, Tensor] = field(default_factory=dict)

    @property
    def last_name(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def weight(self) -> Tensor | None:
        return self.parts.get("weight")

    @property
    def block_scale(self) -> Tensor | None:
        """The scale beside the weight, under either name."""
        return self.parts.get("weight_scale") or self.parts.get("weight_scale_inv")


def modules_of(tensors: Iterable[Tensor]) -> dict[str, Module]:
    """Module name → module, in the order of their first tensors."""
    modules: dict[str, Module] = {}
    for tensor in tensors:
        name, part = split_name(tensor.name)
        module = modules.get(name)
        if module is None:
            module = modules[name] = Module(name)
        module.parts[part] = tensor
    return modules


def split_name(name: str) -> tuple[str, str]:
    """`a.q_proj.weight_scale` → (`a.q_proj`, `weight_scale`).

    A fused expert parameter is its own module: `e.gate_up_proj_weight_scale` →
    (`e.gate_up_proj`, `weight_scale`), `e.gate_up_proj` → (`e.gate_up_proj`, `weight`).
    """
    parent, _, last = name.rpartition(".")
    for fused in FUSED_EXPERTS:
        if last == fused:
            return name, "weight"
        if last.startswith(f"{fused}_") and last.removeprefix(f"{fused}_") in SCALES:
            return f"{parent}.{fused}", last.removeprefix(f"{fused}_")
    return parent, last


def observed_algorithm(module: Module) -> str | None:
    """The algorithm whose layout the tensors have (ModelOpt 0.46 exporter); None: not quantized.

    FP4 halves the input dimension and AWQ the output dimension; both are U8, and the scale's
    dtype and shape tell them apart. `?` is a quantized layout we do not know.
    """
    weight, scale = module.weight, module.block_scale
    if weight is None:
        return None
    if scale is None:
        return "?" if weight.dtype in {"F8_E4M3", "U8", "I8"} else None
    match weight.dtype, scale.dtype:
        case "F8_E4M3", "U8" | "F8_E8M0":
            return "MXFP8"
        case "F8_E4M3", "F32" | "BF16" | "F16":
            return fp8_algorithm(weight, scale)
        case "U8", "F8_E4M3":
            return "NVFP4" if "input_scale" in module.parts else "W4A16_NVFP4"
        case "U8", "U8" | "F8_E8M0":
            return "MXFP4"
        case "U8", "F32" | "BF16" | "F16" if scale.shape[:1] == (2 * weight.shape[0],):
            return "W4A8_AWQ" if "weight_scale_2" in module.parts else "W4A16_AWQ"
        case "I8", "F32" | "BF16" | "F16":
            return "W8A8_SQ_PER_CHANNEL" if "input_scale" in module.parts else "W8A16"
        case _:
            return "?"


def fp8_algorithm(weight: Tensor, scale: Tensor) -> str:
    """One scale for the tensor, for each output row, or for each block of 128 x 128."""
    if prod(scale.shape) == 1 and len(scale.shape) <= 1:
        return "FP8"
    if len(weight.shape) == 3:  # noqa: PLR2004 -- experts, each with a scale for its whole matrix
        return "FP8" if prod(scale.shape) == weight.shape[0] else "FP8_PB_WO"
    if scale.shape in {weight.shape[:1], (*weight.shape[:1], 1)}:
        return "FP8_PER_CHANNEL_PER_TOKEN"
    return "FP8_PB_WO"
