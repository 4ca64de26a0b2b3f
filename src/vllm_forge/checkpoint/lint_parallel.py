"""Does the model divide by --tensor-parallel-size, its scales included?"""

from collections.abc import Iterable, Iterator

from vllm_forge.checkpoint.evidence import finding
from vllm_forge.checkpoint.layouts import LAYOUTS
from vllm_forge.checkpoint.modules import Module, observed_algorithm
from vllm_forge.records.checkpoint import Checkpoint
from vllm_forge.records.finding import Finding, Severity

SPLIT_INPUTS = frozenset({"o_proj", "down_proj", "out_proj", "w2", "fc2"})
"""RowParallelLinear: each GPU holds K / size inputs."""
SPLIT_OUTPUTS = frozenset({"q_proj", "gate_proj", "up_proj", "w1", "w3", "fc1"})
"""ColumnParallelLinear: each GPU holds N / size outputs. k_proj and v_proj follow the heads."""
BLOCK = 128


def lint_parallel(
    checkpoint: Checkpoint, modules: Iterable[Module], size: int
) -> Iterator[Finding]:
    """`size` is the number of GPUs a layer is divided over."""
    lines = [*uneven_heads(checkpoint, size)]
    for module in modules:
        lines += uneven_module(module, size)
    if lines:
        yield finding(
            "tensor-parallel-indivisible",
            Severity.ERROR,
            f"the model does not divide over {size} GPUs",
            lines,
            "choose a smaller --tensor-parallel-size, or use --pipeline-parallel-size",
        )


def uneven_heads(checkpoint: Checkpoint, size: int) -> Iterator[str]:
    dimensions = checkpoint.model.dimensions
    heads, pairs = dimensions.attention_heads, dimensions.key_value_heads
    if heads is not None and heads % size:
        yield f"config.json: num_attention_heads {heads} is not a multiple of {size}"
    if pairs is not None and pairs % size and size % pairs:
        yield f"config.json: num_key_value_heads {pairs} does not divide over {size}"


def uneven_module(module: Module, size: int) -> Iterator[str]:
    weight = module.weight
    if weight is None or len(weight.shape) != 2:  # noqa: PLR2004 -- 3-D experts are split whole
        return
    algorithm = observed_algorithm(module)
    layout = LAYOUTS.get(algorithm or "")
    rows, columns = layout.logical(weight) if layout else weight.shape
    multiple = layout.input_multiple if layout else 1
    if module.last_name in SPLIT_INPUTS and columns % (size * multiple):
        groups = f", in groups of {multiple}" if multiple > 1 else ""
        yield f"{module.name}: {columns} inputs over {size} GPUs{groups}"
    outputs = BLOCK if algorithm == "FP8_PB_WO" and size > 1 else 1
    if module.last_name in SPLIT_OUTPUTS and rows % (size * outputs):
        groups = f", in blocks of {outputs}" if outputs > 1 else ""
        yield f"{module.name}: {rows} outputs over {size} GPUs{groups}"
