"""Checkpoint x release → verdict: does it load, with which argument, after which repair, and how.

A verdict is about reading the quantization; that the release knows the model's architecture is
another question. Driven by what the tree says (`Release.quantization`, `Release.modelopt`), not by
version numbers.
"""

from dataclasses import replace

from vllm_forge.records.checkpoint import (
    Checkpoint,
    QuantizationDocument,
    Shape,
    Verdict,
    VerdictWord,
)
from vllm_forge.records.decision import Reason
from vllm_forge.records.release import Release
from vllm_forge.resolve.match_algorithms import (
    MIXED,
    algorithms_of,
    canonical,
    registry_entry,
)
from vllm_forge.resolve.match_conflicts import settle
from vllm_forge.resolve.match_forms import form_of
from vllm_forge.resolve.match_kernels import FALLBACK, REFUSED, choose_kernels
from vllm_forge.resolve.match_repairs import drop_config, drop_hf_quant_config


def choose_verdict(
    checkpoint: Checkpoint,
    release: Release,
    capability: str | None = None,
    *,
    prefer: str | None = None,
) -> Verdict:
    """`capability` is a GPU's, as `8.9`; without one only the reading is judged.

    `prefer` names the metadata file that is right, where config.json and hf_quant_config.json
    contradict each other.
    """
    settled = settle(checkpoint, prefer)
    verdict = verdict_of_reading(settled.checkpoint, release)
    if settled.contradictions and verdict.verdict is not VerdictWord.REFUSED:
        return replace(
            verdict,
            verdict=VerdictWord.REPAIR,
            changes=(),
            contradictions=settled.contradictions,
        )
    if settled.changes and verdict.verdict is not VerdictWord.REFUSED:
        verdict = replace(
            verdict, verdict=VerdictWord.REPAIR, changes=(*settled.changes, *verdict.changes)
        )
    return (
        verdict if capability is None else on_gpu(verdict, settled.checkpoint, release, capability)
    )


def verdict_of_reading(checkpoint: Checkpoint, release: Release) -> Verdict:
    version = release.version.value or "unknown"
    document = checkpoint.document
    if document is None or not document.is_modelopt or checkpoint.shape is Shape.NOT_MODELOPT:
        return verdict_without_modelopt(checkpoint, release, version)
    if has_foreign_method(document):
        return verdict_by_another_reader(checkpoint, release, version)
    if document.algorithm is None:
        return verdict_without_algorithm(checkpoint, version)
    refusal = refusal_of(checkpoint, release)
    if refusal is not None:
        return refused(version, refusal)
    entry = registry_entry(release, canonical(document.algorithm))
    if entry is None:
        fact = f"no quantization method reads {document.algorithm}"
        return refused(version, Reason(fact, registry(release)))
    form = form_of(checkpoint, release.modelopt, entry)
    word = VerdictWord.NATIVE
    if form.changes:
        word = VerdictWord.REPAIR
    elif form.quantization is not None:
        word = VerdictWord.ARGUMENT
    reads = Reason(f"{entry.name} reads {document.algorithm}", entry.source)
    return Verdict(version, word, form.quantization, form.because or (reads,), changes=form.changes)


def on_gpu(verdict: Verdict, checkpoint: Checkpoint, release: Release, capability: str) -> Verdict:
    """The same on a GPU of that capability; plain weights and foreign readers are left alone."""
    document = checkpoint.document
    if document is None or document.algorithm is None or verdict.verdict is VerdictWord.REFUSED:
        return verdict
    entry = registry_entry(release, canonical(document.algorithm))
    if entry is None or has_foreign_method(document) or checkpoint.shape is Shape.NOT_MODELOPT:
        return verdict
    kernels = choose_kernels(entry, algorithms_of(checkpoint), capability)
    if kernels.kind == REFUSED:
        return refused(verdict.version, *kernels.because)
    word = verdict.verdict
    if kernels.kind == FALLBACK and word is VerdictWord.NATIVE:
        word = VerdictWord.EMULATED
    because = (*verdict.because, *kernels.because)
    return replace(verdict, verdict=word, kernels=kernels.kind, because=because)


def has_foreign_method(document: QuantizationDocument) -> bool:
    """A quant_method that vLLM gives to another reader than ModelOpt's."""
    return bool(document.method) and not str(document.method).lower().startswith("modelopt")


def refusal_of(checkpoint: Checkpoint, release: Release) -> Reason | None:
    """An algorithm, the whole's or a layer's, that the release does not know."""
    document, known = checkpoint.document, release.modelopt.algorithms
    if document is None or document.algorithm is None:
        return None
    if known.value is None:
        return Reason("which ModelOpt algorithms this tree reads is unknown", known.source)
    algorithm = canonical(document.algorithm)
    if algorithm not in known.value:
        return Reason(
            f"{document.algorithm} is not among the algorithms it reads: {', '.join(known.value)}",
            known.source,
        )
    if algorithm != MIXED:
        return None
    if not checkpoint.layers:
        return Reason(
            "MIXED_PRECISION needs a quantized_layers map, and neither file has one", document.file
        )
    unknown = [name for name in algorithms_of(checkpoint) if name not in known.value]
    if unknown:
        return Reason(
            f"layers are {', '.join(unknown)}, which is not among the algorithms it reads: "
            f"{', '.join(known.value)}",
            known.source,
        )
    return None


def verdict_without_algorithm(checkpoint: Checkpoint, version: str) -> Verdict:
    """Metadata of a KV cache alone: vLLM stops for want of a quant_algo; the weights are plain."""
    config = checkpoint.config
    why = "the weights are not quantized, and vLLM stops at metadata without quant_algo"
    changes = [drop_config(config, why)] if config is not None else []
    if checkpoint.hf_quant_config is not None:
        changes.append(drop_hf_quant_config(why))
    document = checkpoint.document
    source = document.file if document else "config.json"
    return Verdict(
        version, VerdictWord.REPAIR, None, (Reason(why, source),), changes=tuple(changes)
    )


def verdict_without_modelopt(checkpoint: Checkpoint, release: Release, version: str) -> Verdict:
    config = checkpoint.config
    if config is None:
        why = Reason("there is no quantization metadata: plain weights", "config.json")
        return Verdict(version, VerdictWord.NATIVE, None, (why,))
    method = (config.method or "").lower().replace("compressed_tensors", "compressed-tensors")
    entry = next((entry for entry in release.quantization if entry.name == method), None)
    if entry is None:
        return refused(version, Reason(f"no quantization method {method!r}", registry(release)))
    why = Reason(f"quant_method {method}: vLLM's own reader, not looked into here", entry.source)
    return Verdict(version, VerdictWord.NATIVE, None, (why,))


def verdict_by_another_reader(checkpoint: Checkpoint, release: Release, version: str) -> Verdict:
    """ModelOpt's algorithm under another quant_method, as in NVIDIA's DeepSeek V4: `fp8`.

    The generic reader of that name knows nothing of the layers ModelOpt quantized; a reader that
    is named after the model (`deepseek_v4_fp8`) was written for it.
    """
    stems = [
        architecture.partition("For")[0].lower() for architecture in checkpoint.model.architectures
    ]
    for entry in release.quantization:
        name = entry.name.replace("_", "").replace("-", "")
        if any(stem and name.startswith(stem) for stem in stems):
            why = Reason(f"{entry.name} is the reader for this model", entry.source)
            return Verdict(version, VerdictWord.NATIVE, None, (why,))
    return refused(
        version,
        Reason(
            "the quant_method does not read ModelOpt's layers, and no reader is named after the "
            "model",
            registry(release),
        ),
    )


def refused(version: str, *because: Reason) -> Verdict:
    return Verdict(version, VerdictWord.REFUSED, None, because)


def registry(release: Release) -> str:
    return release.quantization[0].source if release.quantization else "quantization registry"
