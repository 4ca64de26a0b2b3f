"""What the two files say about quantization: parsed, named, and told apart.

The spellings are those of ModelOpt's exporter by version and of published checkpoints; vLLM's
reading of them is in `resolve/match.py`.
"""

from typing import Any, Final

from vllm_forge.checkpoint.fields import Fields
from vllm_forge.checkpoint.trouble import bad_checkpoint, shown
from vllm_forge.records.checkpoint import (
    Format,
    LayerAlgorithm,
    QuantizationDocument,
    Shape,
)

FORMATS: Final = {
    "FP8": Format.FP8,
    "FP8_PER_CHANNEL_PER_TOKEN": Format.FP8_PER_CHANNEL_PER_TOKEN,
    "FP8_PB_WO": Format.FP8_PB_WO,
    "NVFP4": Format.NVFP4,
    "NVFP4_STATIC": Format.NVFP4,
    "W4A16_NVFP4": Format.W4A16_NVFP4,
    "MXFP8": Format.MXFP8,
    "MIXED_PRECISION": Format.MIXED,
    "W4A16_AWQ": Format.INT4_AWQ,
    "W4A8_AWQ": Format.W4A8_AWQ,
    "NVFP4_AWQ": Format.NVFP4_AWQ,
    "W8A8_SQ_PER_CHANNEL": Format.INT8_SQ,
}
"""quant_algo, upper-cased → format. `nvfp4_static` is how 0.42 misspelled NVFP4 (same tensors)."""

KV_SCHEMES: Final = {("float", 8): "FP8", ("float", 4): "NVFP4", ("int", 8): "INT8"}
"""(type, num_bits) of a kv_cache_scheme → kv_cache_quant_algo."""

FOREIGN_METHODS: Final = {
    "awq": "an AWQ model",
    "awq_marlin": "an AWQ model",
    "auto-round": "an AutoRound model",
    "gptq": "a GPTQ model",
    "gptq_marlin": "a GPTQ model",
    "gguf": "a GGUF model",
}
"""quant_method → what it is; these are nobody's ModelOpt checkpoint and not ours to judge."""


def parse_quantization(
    values: dict[str, Any], *, file: str, at: tuple[str, ...], origin: str
) -> QuantizationDocument:
    """The object that stands `at` that key path of `file`; `origin` is shown in complaints."""
    outer = Fields(values, origin)
    inner = outer.fields("quantization") if isinstance(values.get("quantization"), dict) else None
    fields = inner or outer
    producer = outer.fields("producer") or fields.fields("producer") or Fields({}, origin)
    groups = fields.fields("config_groups") or Fields({}, origin)
    group_fields = [group for name in groups.values if (group := groups.fields(name))]
    excluded_key = next((key for key in ("ignore", "exclude_modules") if fields.texts(key)), None)
    if excluded_key is None:
        excluded_key = next(
            (key for key in ("ignore", "exclude_modules") if fields.values.get(key) is not None),
            None,
        )
    return QuantizationDocument(
        file=file,
        at=at,
        nested=inner is not None,
        method=outer.text("quant_method") or fields.text("quant_method") or None,
        algorithm=fields.text("quant_algo") or None,
        producer_name=producer.text("name"),
        producer_version=producer.text("version"),
        library=outer.text("quant_library"),
        group_size=group_size_of(fields, group_fields),
        kv_cache=kv_cache_of(fields),
        excluded=None if excluded_key is None else fields.texts(excluded_key),
        excluded_key=excluded_key,
        layers=layers_of(fields),
        weights_only=bool(group_fields)
        and all(group.values.get("input_activations") is None for group in group_fields),
        keys=tuple(fields.values),
    )


def group_size_of(fields: Fields, groups: list[Fields]) -> int | None:
    """`group_size`, else the one that all config_groups' weights share."""
    written = fields.number("group_size")
    if written is not None:
        return written
    sizes = {
        weights.number("group_size") for group in groups if (weights := group.fields("weights"))
    }
    return sizes.pop() if len(sizes) == 1 else None


def kv_cache_of(fields: Fields) -> str | None:
    """`kv_cache_quant_algo`, else `kv_cache_scheme`: a name up to 0.33, a dict for FP8 since."""
    named = fields.text("kv_cache_quant_algo")
    scheme = fields.values.get("kv_cache_scheme")
    if named or scheme is None:
        return named or None
    if isinstance(scheme, str):
        return scheme
    if not isinstance(scheme, dict):
        raise bad_checkpoint(
            f"{fields.origin}.kv_cache_scheme is {shown(repr(scheme))}, not a name or an object"
        )
    written = (scheme.get("type"), scheme.get("num_bits"))
    for meaning, name in KV_SCHEMES.items():
        if written == meaning:
            return name
    return shown(f"{written[0]} {written[1]} bits")


def layers_of(fields: Fields) -> tuple[LayerAlgorithm, ...] | None:
    """`quantized_layers`: layer name → {"quant_algo", "group_size"?}."""
    layers = fields.fields("quantized_layers")
    if layers is None:
        return None
    found = []
    for name in layers.values:
        layer = layers.fields(name)
        algorithm = layer.text("quant_algo") if layer else None
        if layer is None or algorithm is None:
            raise bad_checkpoint(f"{layers.origin}.{shown(name)} has no quant_algo")
        found.append(LayerAlgorithm(name, algorithm, layer.number("group_size")))
    return tuple(found)


def shape_of(
    config: QuantizationDocument | None, hf_quant_config: QuantizationDocument | None
) -> Shape:
    """Which of the two vLLM comes upon first: config.json's wins in every version."""
    if config is None:
        return Shape.UNQUANTIZED if hf_quant_config is None else Shape.HF_QUANT_CONFIG_ONLY
    if not config.is_modelopt:
        shadows = hf_quant_config is not None and hf_quant_config.is_modelopt
        return Shape.SHADOWED if shadows else Shape.NOT_MODELOPT
    if config.nested:
        return Shape.NESTED
    return Shape.FLAT if config.method else Shape.FLAT_WITHOUT_METHOD


def format_of(document: QuantizationDocument | None, shape: Shape) -> Format:
    """The format of ModelOpt's document; a KV-cache scheme alone leaves the weights as they are."""
    if shape is Shape.NOT_MODELOPT:
        return Format.OTHER
    if document is None or document.algorithm is None:
        return Format.MIXED if document is not None and document.layers else Format.NONE
    return FORMATS.get(document.algorithm.upper(), Format.OTHER)
