"""Scales whose values are known, layers that vLLM fuses, and the KV cache."""

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Final

from vllm_forge.checkpoint.evidence import finding
from vllm_forge.checkpoint.expectation import Expectation
from vllm_forge.checkpoint.modules import Module, observed_algorithm
from vllm_forge.checkpoint.trouble import shown
from vllm_forge.records.checkpoint import Checkpoint
from vllm_forge.records.finding import Finding, Severity

FUSED: Final = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"), ("w1", "w3"))
"""What vLLM loads into one matrix (`packed_modules_mapping` of nearly every model)."""
SHARED_SCALES: Final = ("input_scale", "weight_scale_2")
"""Fused parts get one of each; ModelOpt makes them equal when it exports."""


def lint_values(scalars: Mapping[str, float]) -> Iterator[Finding]:
    """`scalars`: tensor name → value, for the one-element scales that were read."""
    bad = [
        f"{name} is {value}" for name, value in scalars.items() if not isfinite(value) or value <= 0
    ]
    if bad:
        yield finding(
            "scale-value-bad",
            Severity.ERROR,
            "scales that are zero, negative, infinite or not a number: what they scale is lost",
            bad,
            "calibrate with data that reaches every layer (every expert), and export again",
        )


def lint_fusion(
    modules: Mapping[str, Module], scalars: Mapping[str, float], expectation: Expectation | None
) -> Iterator[Finding]:
    algorithms: list[str] = []
    scales: list[str] = []
    for name, first in modules.items():
        parent, _, last = name.rpartition(".")
        group = next((names for names in FUSED if names[0] == last), None)
        if group is None:
            continue
        parts = [
            first,
            *(
                modules[f"{parent}.{other}"]
                for other in group[1:]
                if f"{parent}.{other}" in modules
            ),
        ]
        if len(parts) < 2:  # noqa: PLR2004 -- nothing to fuse
            continue
        told = {part.last_name: algorithm_of(part, expectation) for part in parts}
        if len(set(told.values())) > 1:
            algorithms.append(
                f"{parent}: {', '.join(f'{last} {algorithm}' for last, algorithm in told.items())}"
            )
            continue
        for scale in SHARED_SCALES:
            values = {
                part.last_name: scalars[f"{part.name}.{scale}"]
                for part in parts
                if f"{part.name}.{scale}" in scalars
            }
            if len(set(values.values())) > 1:
                told_values = ", ".join(f"{last} {value:.6g}" for last, value in values.items())
                scales.append(f"{parent}: {scale} {told_values}")
    if algorithms:
        yield finding(
            "fused-algorithms-differ",
            Severity.ERROR,
            "layers that vLLM fuses into one are quantized differently: it stops, or reads "
            "one of them wrongly",
            algorithms,
            "quantize q/k/v and gate/up alike, or exclude them all, and export again",
        )
    if scales:
        yield finding(
            "fused-scales-differ",
            Severity.WARNING,
            "layers that vLLM fuses into one have different scales, and it keeps one of them: "
            "the others lose precision",
            scales,
            "export again with ModelOpt's own exporter, which makes them equal",
        )


def algorithm_of(module: Module, expectation: Expectation | None) -> str:
    observed = observed_algorithm(module)
    if observed == "?" and expectation is not None:
        return expectation.algorithm(module.name) or "unquantized"
    return observed or "unquantized"


def lint_kv_cache(checkpoint: Checkpoint, modules: Mapping[str, Module]) -> Iterator[Finding]:
    document = checkpoint.document
    declared = document.kv_cache if document else None
    keys = [name for name, module in modules.items() if "k_scale" in module.parts]
    values = [name for name, module in modules.items() if "v_scale" in module.parts]
    layers = [name for name in modules if name.endswith((".k_proj", ".kv_b_proj"))]
    if declared and layers and not keys and not values:
        yield finding(
            "kv-scale-missing",
            Severity.NOTE,
            f"the KV cache is declared {declared} without any scale; vLLM uses 1.0",
            [f"{len(layers)} attention layers, no k_scale, no v_scale"],
        )
    elif declared and len(keys) != len(values):
        yield finding(
            "kv-scale-missing",
            Severity.WARNING,
            "keys and values do not have as many scales; vLLM uses 1.0 where one is missing",
            [f"{len(keys)} k_scale, {len(values)} v_scale"],
            "export the checkpoint again",
        )
    if not declared and document is not None and (keys or values):
        yield finding(
            "kv-scale-unexpected",
            Severity.WARNING,
            "there are KV cache scales, but the metadata declares no KV cache format: "
            "vLLM keeps the cache in the model's dtype",
            [f"{name}.k_scale" for name in keys] or [f"{name}.v_scale" for name in values],
            "pass --kv-cache-dtype fp8 to use them",
        )


def lint_head(checkpoint: Checkpoint, modules: Mapping[str, Module]) -> Iterator[Finding]:
    """No vLLM knew a quantized lm_head for long: vllm-project/vllm#45102."""
    heads = [
        f"{name}: {observed}"
        for name, module in modules.items()
        if module.last_name == "lm_head" and (observed := observed_algorithm(module))
    ]
    if heads:
        yield finding(
            "lm-head-quantized",
            Severity.WARNING,
            "the output head is quantized, which many vLLM versions cannot load "
            "(\"There is no module or parameter named 'lm_head.input_scale'\")",
            heads,
            f"vllm-forge dequantize {shown(checkpoint.path)} --output DIR",
            "or export again with lm_head excluded",
        )
