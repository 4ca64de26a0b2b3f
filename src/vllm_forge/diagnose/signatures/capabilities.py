"""Kernels that need a newer GPU."""

from vllm_forge.diagnose.advice import number
from vllm_forge.diagnose.blocks import Kind
from vllm_forge.diagnose.signature import Names, Scene, Signature, acts, kinds, pattern
from vllm_forge.diagnose.signatures.quantization import DEQUANTIZE


def capability(text: str) -> str:
    """`89` → 8.9; `8.9` stays."""
    return text if "." in text else f"{text[:-1]}.{text[-1]}"


def capability_cause(names: Names, scene: Scene) -> str:
    del scene
    method = names.get("method") or "This quantization scheme"
    return (
        f"{method} needs compute capability {capability(names['wanted'])}; this GPU has"
        f" {capability(names['have'])}."
    )


def capability_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    method, have = names.get("method") or "", number(capability(names["have"]))
    lines = []
    vllm = number(scene.clues.get("vllm") or "0")
    if method == "modelopt" and have >= number("8.0") and vllm < number("0.28"):
        lines.append(
            "vLLM 0.28 or newer loads ModelOpt FP8 from capability 8.0 (weight-only, Marlin)."
        )
    elif method == "modelopt_fp4" and have >= number("7.5") and vllm < number("0.14"):
        lines.append(
            "vLLM 0.14 or newer loads ModelOpt NVFP4 from capability 7.5 (weight-only, Marlin)."
        )
    if method.startswith("modelopt"):
        lines.append(DEQUANTIZE)
    lines.append(
        "Use a checkpoint in a format for this GPU (BF16 or FP16, AWQ, GPTQ), or a newer GPU."
    )
    return tuple(lines)


SIGNATURES = (
    Signature(
        "capability-too-low",
        kinds(Kind.EXCEPTION),
        pattern(
            r"quantization method (?P<method>[\w.-]+) is not supported for the current GPU\."
            r" Minimum capability:"
            r" (?P<wanted>\d+)\.? ?Current capability: (?P<have>\d+)"
        ),
        capability_cause,
        capability_fix,
    ),
    Signature(
        "capability-too-low",
        kinds(Kind.EXCEPTION),
        pattern(
            r"Quantization scheme is not supported for[\s'\",]*the current GPU\.[\s'\",]*Min"
            r" capability:"
            r" (?P<wanted>\d+)[\s.'\",]*Current capability: (?P<have>\d+)"
        ),
        capability_cause,
        capability_fix,
    ),
    Signature(
        "capability-too-low",
        kinds(Kind.EXCEPTION),
        pattern(
            r"Failed to find a kernel that can implement the (?P<method>\w+) linear layer(?:.|\n)*?"
            r"\bMarlin\w+ requires capability (?P<wanted>\d+), current compute capability is"
            r" (?P<have>\d+)"
        ),
        capability_cause,
        capability_fix,
    ),
    Signature(
        "capability-too-low",
        kinds(Kind.EXCEPTION),
        pattern(
            r"Bfloat16 is only supported on GPUs with compute capability of at least "
            r"(?P<wanted>[\d.]+\d)\. Your"
            r" (?P<gpu>.{1,60}?) GPU has compute capability (?P<have>[\d.]+\d)"
        ),
        "The model is BF16, which needs compute capability {wanted}; this {gpu} has {have}.",
        acts("vllm serve ... --dtype half"),
    ),
    Signature(
        "capability-too-low",
        kinds(Kind.EXCEPTION, Kind.COMPILER),
        pattern(
            r"type fp8e4nv not supported in this architecture"
            r"|torch\._scaled_mm is only supported on CUDA devices with compute capability [^\n]*"
            r"|Feature '(?P<feature>[^']+)' requires \.target (?P<target>sm_\w+) or higher"
            r"|FlashAttention only supports (?:Ampere|Hopper)[^\n]*"
            r"|FlashMLA is only supported on Hopper"
            r"|only supported on (?:devices|GPUs?) with compute capability >=? ?(?P<least>[\d.]+)"
        ),
        "A kernel of this model needs a newer GPU than this one {feature} {target} {least}.",
        acts(
            "nvidia-smi --query-gpu=name,compute_cap --format=csv",
            "Use a checkpoint in a format for this GPU (BF16 or FP16 instead of FP8 or FP4); KV"
            " cache:"
            " leave --kv-cache-dtype at auto.",
        ),
    ),
)
