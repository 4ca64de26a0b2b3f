"""Everything that can be wrong with a checkpoint and seen without running it."""

from collections.abc import Mapping
from typing import Final

from vllm_forge.checkpoint.expectation import expectation_of
from vllm_forge.checkpoint.lint_files import lint_files
from vllm_forge.checkpoint.lint_metadata import lint_metadata
from vllm_forge.checkpoint.lint_parallel import lint_parallel
from vllm_forge.checkpoint.lint_scales import (
    lint_fusion,
    lint_head,
    lint_kv_cache,
    lint_values,
)
from vllm_forge.checkpoint.lint_tensors import lint_tensors
from vllm_forge.checkpoint.modules import modules_of
from vllm_forge.records.checkpoint import Checkpoint
from vllm_forge.records.finding import Finding, Severity

ORDER: Final = (Severity.ERROR, Severity.WARNING, Severity.NOTE)

CODES: Final = (
    "dimension-indivisible",
    "dtype-wrong",
    "excluded-but-quantized",
    "fused-algorithms-differ",
    "fused-scales-differ",
    "hf-quant-config-shadowed",
    "index-incomplete",
    "index-wrong",
    "kv-scale-missing",
    "kv-scale-unexpected",
    "layout-mismatch",
    "lm-head-quantized",
    "metadata-disagrees",
    "nested-keys-missing",
    "producer-missing",
    "quant-algorithm-missing",
    "quant-algorithm-unknown",
    "quant-method-foreign",
    "quant-method-missing",
    "quantized-but-plain",
    "quantized-layers-missing",
    "remote-code-needed",
    "scale-missing",
    "scale-unexpected",
    "scale-value-bad",
    "shape-wrong",
    "shard-missing",
    "shard-overlong",
    "shard-truncated",
    "tensor-duplicated",
    "tensor-parallel-indivisible",
    "tokenizer-missing",
    "weights-missing",
)
"""Every code this package can find; each has its page in docs/findings/."""


def lint(
    checkpoint: Checkpoint,
    scalars: Mapping[str, float],
    *,
    tensor_parallel_size: int | None = None,
) -> tuple[Finding, ...]:
    """Findings, the worst first. `scalars` are what `read_scalars` read; {} leaves values alone."""
    modules = modules_of(checkpoint.weights.tensors)
    expectation = expectation_of(checkpoint)
    found = [*lint_files(checkpoint), *lint_metadata(checkpoint)]
    if expectation is not None:
        found += lint_tensors(modules.values(), expectation)
    if checkpoint.document is not None and checkpoint.document.is_modelopt:
        found += lint_fusion(modules, scalars, expectation)
        found += lint_kv_cache(checkpoint, modules)
        found += lint_head(checkpoint, modules)
    found += lint_values(scalars)
    if tensor_parallel_size is not None and tensor_parallel_size > 1:
        found += lint_parallel(checkpoint, modules.values(), tensor_parallel_size)
    return tuple(sorted(found, key=lambda finding: ORDER.index(finding.severity)))
