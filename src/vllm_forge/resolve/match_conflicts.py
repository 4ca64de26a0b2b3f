"""Two files that contradict each other: which one is meant, where the tensors can tell."""

from dataclasses import dataclass, replace

from vllm_forge.records.checkpoint import Change, Checkpoint, QuantizationDocument, Shape
from vllm_forge.resolve.match_algorithms import canonical
from vllm_forge.resolve.match_repairs import CONFIG, HF_QUANT_CONFIG, drop_hf_quant_config

SAME_TENSORS = {"W4A16_NVFP4": "NVFP4", "W8A16": "W8A8_SQ_PER_CHANNEL"}
"""Algorithms that differ only in what happens to activations."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The checkpoint as it is meant; what has to change for that; what nothing decides."""

    checkpoint: Checkpoint
    changes: tuple[Change, ...] = ()
    contradictions: tuple[str, ...] = ()


def settle(checkpoint: Checkpoint, prefer: str | None) -> Settled:
    """`prefer` is the file the user calls right.

    Where algorithms differ the tensors decide. Where the missing quant_method could be added to
    config.json, or config.json's description dropped for hf_quant_config.json, both must say the
    same.
    """
    config, other = checkpoint.config, checkpoint.hf_quant_config
    if config is None or other is None or not other.is_modelopt:
        return Settled(checkpoint)
    if prefer == HF_QUANT_CONFIG:
        return Settled(replace(checkpoint, shape=Shape.SHADOWED))
    contradictions: tuple[str, ...] = ()
    if checkpoint.shape is Shape.SHADOWED:
        if not fits(other, checkpoint.observed):
            contradictions = (
                f"{CONFIG}: quant_method is {config.method}",
                f"{HF_QUANT_CONFIG}: quant_algo is {other.algorithm}",
            )
    elif canonical(config.algorithm or "") != canonical(other.algorithm or ""):
        mine, theirs = fits(config, checkpoint.observed), fits(other, checkpoint.observed)
        if theirs and not mine and prefer is None:
            return Settled(replace(checkpoint, shape=Shape.SHADOWED))
        if theirs or not mine:
            contradictions = tuple(
                f"{one.file}: quant_algo is {one.algorithm}" for one in (config, other)
            )
    elif checkpoint.shape is Shape.FLAT_WITHOUT_METHOD:
        contradictions = differences(config, other)
    if prefer == CONFIG and contradictions:
        shape = Shape.NOT_MODELOPT if checkpoint.shape is Shape.SHADOWED else checkpoint.shape
        alone = replace(checkpoint, hf_quant_config=None, shape=shape)
        return Settled(alone, (drop_hf_quant_config(f"{CONFIG} is preferred to it"),))
    return Settled(checkpoint, contradictions=contradictions)


def fits(document: QuantizationDocument, observed: tuple[str, ...]) -> bool:
    """Every quantized layer looks as this document says."""
    if not observed or document.algorithm is None:
        return False
    promised = {canonical(layer.algorithm) for layer in document.layers or ()}
    promised = promised or {canonical(document.algorithm)}
    return {SAME_TENSORS.get(name, name) for name in observed} == {
        SAME_TENSORS.get(name, name) for name in promised
    }


def differences(config: QuantizationDocument, other: QuantizationDocument) -> tuple[str, ...]:
    """What would become different, depending on the file that is followed."""
    found: list[str] = []
    if (config.kv_cache or "").upper() != (other.kv_cache or "").upper():
        found.append(f"KV cache: {CONFIG} {config.kv_cache}, {HF_QUANT_CONFIG} {other.kv_cache}")
    only = set(config.excluded or ()) ^ set(other.excluded or ())
    if only and config.excluded is not None and other.excluded is not None:
        found.append(f"excluded in one of the two only: {', '.join(sorted(only)[:5])}")
    return tuple(found)
