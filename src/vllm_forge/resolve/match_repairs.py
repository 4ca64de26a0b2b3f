"""The corrections of a checkpoint's JSON that bring it into a form a vLLM reads."""

from collections.abc import Iterable
from typing import Any, Final

from vllm_forge.records.checkpoint import Act, Change, Checkpoint, QuantizationDocument
from vllm_forge.resolve.match_algorithms import MIXED, canonical

CONFIG: Final = "config.json"
HF_QUANT_CONFIG: Final = "hf_quant_config.json"
FLAT: Final = ("quantization_config",)
FP8_KV_SCHEME: Final = {"dynamic": False, "num_bits": 8, "type": "float"}
"""What ModelOpt writes for an FP8 KV cache since 0.35, and vLLM reads since 0.17."""
NVFP4_GROUP_SIZE: Final = 16


def set_key(document: QuantizationDocument, key: str, value: Any, because: str) -> Change:  # noqa: ANN401 -- JSON
    return Change(document.file, (*inner(document), key), Act.SET, because, value=value)


def inner(document: QuantizationDocument) -> tuple[str, ...]:
    """Where quant_algo and its neighbours stand."""
    return (*document.at, "quantization") if document.nested else document.at


def set_method(document: QuantizationDocument, method: str, because: str) -> Change:
    """quant_method stands beside `quantization`, never in it."""
    return Change(document.file, (*document.at, "quant_method"), Act.SET, because, value=method)


def drop_config(document: QuantizationDocument, because: str) -> Change:
    return Change(CONFIG, document.at, Act.REMOVE, because)


def drop_hf_quant_config(because: str) -> Change:
    return Change(HF_QUANT_CONFIG, (), Act.REMOVE, because)


def copy_excludes(document: QuantizationDocument, because: str) -> Change:
    """The same list under the older key; the newer one stays."""
    return Change(
        document.file,
        (*inner(document), "exclude_modules"),
        Act.COPY,
        because,
        source_file=document.file,
        source_at=(*inner(document), "ignore"),
    )


def copy_layers(document: QuantizationDocument, source: QuantizationDocument) -> Change:
    return Change(
        document.file,
        (*inner(document), "quantized_layers"),
        Act.COPY,
        "the layer map stands only in the other file",
        source_file=source.file,
        source_at=(*inner(source), "quantized_layers"),
    )


def add_missing_keys(document: QuantizationDocument, required: Iterable[str]) -> tuple[Change, ...]:
    """Keys vLLM tests for. An absent KV key means none; NVFP4 has groups of 16 by definition."""
    values: dict[str, Any] = {
        "group_size": NVFP4_GROUP_SIZE,
        "kv_cache_quant_algo": None,
        "exclude_modules": [],
    }
    return tuple(
        set_key(document, key, values[key], f"vLLM stops when {key} is absent")
        for key in required
        if key not in document.keys and key in values
    )


def flatten(document: QuantizationDocument, *, keep_old_key: bool) -> tuple[Change, ...]:
    """A nested description → `quantization_config` in config.json, as ModelOpt writes it now.

    `keep_old_key` writes the excluded modules as `exclude_modules` too.
    """
    because = "this vLLM reads the algorithm only from quantization_config in config.json"
    values: dict[str, Any] = {
        "quant_method": "modelopt",
        "quant_algo": canonical(document.algorithm or ""),
    }
    if document.group_size is not None and "group_size" in document.keys:
        values["group_size"] = document.group_size
    if document.kv_cache is not None:
        values["kv_cache_quant_algo"] = document.kv_cache
        if document.kv_cache.upper() == "FP8":
            values["kv_cache_scheme"] = FP8_KV_SCHEME
    values["ignore"] = list(document.excluded or ())
    if keep_old_key:
        values["exclude_modules"] = list(document.excluded or ())
    if document.producer_name is not None:
        values["producer"] = {
            "name": document.producer_name,
            "version": document.producer_version,
        }
    changes = [Change(CONFIG, FLAT, Act.SET, because, value=values)]
    if document.layers:
        changes.append(
            Change(
                CONFIG,
                (*FLAT, "quantized_layers"),
                Act.COPY,
                because,
                source_file=document.file,
                source_at=(*inner(document), "quantized_layers"),
            )
        )
    return tuple(changes)


def nest(checkpoint: Checkpoint, document: QuantizationDocument) -> tuple[Change, ...]:
    """A flat description → hf_quant_config.json, the only form that 0.8 and 0.9 read."""
    because = "this vLLM reads only hf_quant_config.json, and only without quantization_config"
    changes = [drop_config(document, because)]
    other = checkpoint.hf_quant_config
    if other is None or other.algorithm is None:
        algorithm = canonical(document.algorithm or "")
        values: dict[str, Any] = {
            "producer": {"name": "modelopt", "version": document.producer_version},
            "quantization": {
                "quant_algo": algorithm,
                "kv_cache_quant_algo": document.kv_cache,
                "exclude_modules": list(document.excluded or ()),
            },
        }
        size = document.group_size or (NVFP4_GROUP_SIZE if algorithm == "NVFP4" else None)
        if size is not None and algorithm != MIXED:
            values["quantization"]["group_size"] = size
        changes.append(Change(HF_QUANT_CONFIG, (), Act.SET, because, value=values))
    return tuple(changes)
