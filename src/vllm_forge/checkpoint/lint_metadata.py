"""Do config.json and hf_quant_config.json say enough, and the same?"""

from collections.abc import Iterator

from vllm_forge.checkpoint.evidence import finding
from vllm_forge.checkpoint.layouts import LAYOUTS
from vllm_forge.checkpoint.trouble import shown
from vllm_forge.records.checkpoint import Checkpoint, Format, QuantizationDocument, Shape
from vllm_forge.records.finding import Finding, Severity
from vllm_forge.resolve.match_algorithms import MIXED, canonical

NVFP4_KEYS = ("group_size", "kv_cache_quant_algo", "exclude_modules")
KNOWN = frozenset(
    {
        *LAYOUTS,
        *(MIXED, "NVFP4_AWQ", "NVFP4_SVD", "W4A8_NVFP4_FP8", "W4A8_MXFP4_FP8"),
        *("MXFP4", "W8A16", "INT8_WO", "FP8_PB_REAL"),
    }
)
"""Every algorithm ModelOpt 0.23 to 0.46 writes."""


def repair_of(checkpoint: Checkpoint) -> str:
    return f"vllm-forge repair {shown(checkpoint.path)} --output DIR"


def lint_metadata(checkpoint: Checkpoint) -> Iterator[Finding]:
    document = checkpoint.document
    if document is None or not document.is_modelopt:
        return
    yield from lint_method(checkpoint, document)
    yield from lint_algorithms(checkpoint, document)
    yield from lint_nested(checkpoint, document)
    yield from lint_agreement(checkpoint)


def lint_method(checkpoint: Checkpoint, document: QuantizationDocument) -> Iterator[Finding]:
    if checkpoint.shape is Shape.FLAT_WITHOUT_METHOD:
        version = document.producer_version or "unknown"
        yield finding(
            "quant-method-missing",
            Severity.ERROR,
            "config.json has a quantization_config without quant_method, which no vLLM accepts: "
            "0.10 and before stop, later ones load the model as if it were not quantized",
            [
                f"config.json: quant_algo is {document.algorithm}, quant_method is not there",
                f"producer.version is {version}; ModelOpt 0.31 to 0.33 wrote this form",
            ],
            repair_of(checkpoint),
        )
    elif checkpoint.shape is Shape.SHADOWED and checkpoint.config is not None:
        yield finding(
            "hf-quant-config-shadowed",
            Severity.ERROR,
            "config.json still has the quantization_config of the model before ModelOpt, "
            "and it wins over hf_quant_config.json",
            [
                f"config.json: quantization_config.quant_method is {checkpoint.config.method}",
                f"hf_quant_config.json: quant_algo is {document.algorithm}",
            ],
            repair_of(checkpoint),
        )
    elif document.method and not document.method.lower().startswith("modelopt"):
        yield finding(
            "quant-method-foreign",
            Severity.WARNING,
            f"quant_method is {document.method}: vLLM does not read this checkpoint with its "
            "ModelOpt classes",
            [f"{document.file}: quant_algo is {document.algorithm}"],
            "run it with a vLLM whose reader for this model knows the mixture",
        )


def lint_algorithms(checkpoint: Checkpoint, document: QuantizationDocument) -> Iterator[Finding]:
    if document.algorithm is None:
        yield finding(
            "quant-algorithm-missing",
            Severity.ERROR,
            "there is quantization metadata without an algorithm: vLLM stops with "
            "\"Missing 'quant_algo'\"",
            [f"{document.file}: kv_cache is {document.kv_cache}, quant_algo is null"],
            repair_of(checkpoint),
        )
        return
    named = {document.algorithm, *(layer.algorithm for layer in checkpoint.layers)}
    unknown = sorted(name for name in named if canonical(name) not in KNOWN)
    if unknown:
        yield finding(
            "quant-algorithm-unknown",
            Severity.WARNING,
            "an algorithm that no ModelOpt release writes; its tensors were not checked",
            [f"{document.file}: {name}" for name in unknown],
        )
    if checkpoint.format is Format.MIXED and not checkpoint.layers:
        yield finding(
            "quantized-layers-missing",
            Severity.ERROR,
            "the checkpoint is MIXED_PRECISION, and nothing says which layer has which algorithm",
            [f"{document.file}: no quantized_layers"],
            "export the checkpoint again with ModelOpt 0.43 or later",
        )


def lint_nested(checkpoint: Checkpoint, document: QuantizationDocument) -> Iterator[Finding]:
    if not document.nested:
        return
    missing = [key for key in NVFP4_KEYS if key not in document.keys]
    if checkpoint.format is Format.NVFP4 and missing:
        yield finding(
            "nested-keys-missing",
            Severity.WARNING,
            "vLLM wants these keys beside an NVFP4 quant_algo and stops without them",
            [f"{document.file}: no {key}" for key in missing],
            repair_of(checkpoint),
        )
    if document.producer_name != "modelopt" and not document.method:
        yield finding(
            "producer-missing",
            Severity.WARNING,
            "producer.name is not modelopt, so vLLM does not take the file for ModelOpt's",
            [f"{document.file}: producer.name is {document.producer_name}"],
            repair_of(checkpoint),
        )


def lint_agreement(checkpoint: Checkpoint) -> Iterator[Finding]:
    """The two files, where both are there and both are ModelOpt's. vLLM follows config.json."""
    config, other = checkpoint.config, checkpoint.hf_quant_config
    if config is None or other is None or checkpoint.shape is Shape.SHADOWED:
        return
    if canonical(config.algorithm or "") != canonical(other.algorithm or ""):
        yield finding(
            "metadata-disagrees",
            Severity.ERROR,
            "config.json and hf_quant_config.json name different algorithms",
            [f"{one.file}: quant_algo is {one.algorithm}" for one in (config, other)],
            "keep the file that matches the tensors; vLLM follows config.json",
        )
        return
    differences = []
    if (config.kv_cache or "").upper() != (other.kv_cache or "").upper():
        differences.append(
            f"KV cache: config.json {config.kv_cache}, hf_quant_config.json {other.kv_cache}"
        )
    if config.excluded is not None and other.excluded is not None:
        only = set(config.excluded) ^ set(other.excluded)
        differences += [f"excluded in one file only: {name}" for name in sorted(only)]
    if config.layers is not None and other.layers is not None:
        mine = {layer.name: canonical(layer.algorithm) for layer in config.layers}
        theirs = {layer.name: canonical(layer.algorithm) for layer in other.layers}
        names = sorted(
            name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name)
        )
        differences += [
            f"{name}: config.json {mine.get(name)}, hf_quant_config.json {theirs.get(name)}"
            for name in names
        ]
    if differences:
        yield finding(
            "metadata-disagrees",
            Severity.WARNING,
            "config.json and hf_quant_config.json differ; vLLM follows config.json",
            differences,
            "check which of the two the export meant",
        )
