"""Algorithms, the vLLM class that reads each, and where a GPU computes in that format itself."""

from typing import Final

from vllm_forge.records.checkpoint import Checkpoint
from vllm_forge.records.release import QuantizationMethod, Release

MIXED: Final = "MIXED_PRECISION"

CONFIG_CLASSES: Final = {
    "FP8": "ModelOptFp8Config",
    "FP8_PER_CHANNEL_PER_TOKEN": "ModelOptFp8Config",
    "FP8_PB_WO": "ModelOptFp8Config",
    "NVFP4": "ModelOptNvFp4Config",
    "W4A16_NVFP4": "ModelOptNvFp4Config",
    "MXFP8": "ModelOptMxFp8Config",
    MIXED: "ModelOptMixedPrecisionConfig",
}
"""vllm/model_executor/layers/quantization/modelopt.py; the registry names these classes."""

NATIVE_CAPABILITY: Final = {
    "FP8": 89,
    "FP8_PER_CHANNEL_PER_TOKEN": 89,
    "FP8_PB_WO": 89,
    "NVFP4": 100,
    "MXFP8": 100,
    "W4A16_NVFP4": 0,
}
"""Tensor cores multiply FP8 from compute capability 8.9 and FP4 and MX formats from 10.0 (PTX ISA,
`mma`). W4A16 is weight-only by design: Marlin is its kernel everywhere. 89 is 8.9."""

MISSPELLED: Final = {"NVFP4_STATIC": "NVFP4"}
"""ModelOpt 0.42 wrote the internal name of its MSE-calibrated NVFP4; the tensors are NVFP4."""


def canonical(algorithm: str) -> str:
    upper = algorithm.upper()
    return MISSPELLED.get(upper, upper)


def registry_entry(release: Release, algorithm: str) -> QuantizationMethod | None:
    """The name to pass as `quantization=`: `modelopt_fp4` since 0.9, `nvfp4` before.

    A class may have a second name (`mxfp8` since 0.28); ModelOpt's own comes first.
    """
    wanted = CONFIG_CLASSES.get(algorithm)
    entries = [entry for entry in release.quantization if entry.config_class.value == wanted]
    entries.sort(key=lambda entry: not entry.name.startswith("modelopt"))
    return entries[0] if entries and wanted is not None else None


def algorithms_of(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Those the kernels must know: the layers' in a mixed checkpoint, else the one."""
    document = checkpoint.document
    if document is None or document.algorithm is None:
        return ()
    algorithm = canonical(document.algorithm)
    if algorithm == MIXED:
        return tuple(sorted({canonical(layer.algorithm) for layer in checkpoint.layers}))
    return (algorithm,)
