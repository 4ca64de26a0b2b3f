"""Do the tensors look as the metadata promises? One pass over the modules."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from vllm_forge.checkpoint.evidence import finding
from vllm_forge.checkpoint.expectation import Expectation, is_linear
from vllm_forge.checkpoint.layouts import LAYOUTS, Layout, Scale
from vllm_forge.checkpoint.modules import PLAIN_DTYPES, Module, observed_algorithm
from vllm_forge.records.checkpoint import Tensor
from vllm_forge.records.finding import Finding, Severity

WEIGHT_SCALES = ("weight_scale", "weight_scale_2", "weight_scale_inv", "input_scale")
SAME_LAYOUT = {"W4A16_NVFP4": "NVFP4"}
"""W4A16_NVFP4 has NVFP4's tensors, with or without an input_scale."""


@dataclass(slots=True)
class Lines:
    """Evidence by finding, gathered module by module."""

    plain: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    dtypes: list[str] = field(default_factory=list)
    shapes: list[str] = field(default_factory=list)
    indivisible: list[str] = field(default_factory=list)


def lint_tensors(modules: Iterable[Module], expectation: Expectation) -> Iterator[Finding]:
    lines = Lines()
    for module in modules:
        if is_linear(module):
            look_at(module, expectation, lines)
    yield from findings_of(lines)


def look_at(module: Module, expectation: Expectation, lines: Lines) -> None:
    weight = module.weight
    if weight is None:
        return
    expected, observed = expectation.algorithm(module.name), observed_algorithm(module)
    scales = [part for part in WEIGHT_SCALES if part in module.parts]
    if expected is None:
        if observed is not None and expectation.modelopt_reads_it:
            lines.hidden.append(
                f"{module.name}: {weight.dtype} with {', '.join(scales) or 'no scale'}"
            )
        elif scales and observed is None:
            lines.unexpected.append(f"{module.name}: {weight.dtype} with {', '.join(scales)}")
        return
    layout = LAYOUTS.get(expected)
    if layout is None:
        return
    if weight.dtype in PLAIN_DTYPES and not scales:
        lines.plain.append(f"{module.name}: {weight.dtype}, {expected} by the metadata")
        return
    if observed not in {None, "?"} and SAME_LAYOUT.get(observed or "", observed) != SAME_LAYOUT.get(
        expected, expected
    ):
        lines.mismatched.append(
            f"{module.name}: {expected} by the metadata, {observed} by the tensors"
        )
        return
    if weight.dtype != layout.weight:
        lines.dtypes.append(f"{weight.name}: {weight.dtype}, not {layout.weight}")
        return
    look_at_scales(module, weight, layout, lines)


def look_at_scales(module: Module, weight: Tensor, layout: Layout, lines: Lines) -> None:
    flat = len(weight.shape) == 2  # noqa: PLR2004 -- fused experts are 3-D, and checked for presence
    rows, columns = layout.logical(weight) if flat else (0, 0)
    if flat and columns % layout.input_multiple:
        lines.indivisible.append(
            f"{weight.name}: {columns} inputs, not a multiple of {layout.input_multiple}"
        )
        return
    for part, scale in layout.scales.items():
        tensor = module.block_scale if part == "weight_scale" else module.parts.get(part)
        if tensor is None:
            if scale.required:
                lines.missing.append(f"{module.name}.{part}")
        elif tensor.dtype not in scale.dtypes:
            lines.dtypes.append(
                f"{tensor.name}: {tensor.dtype}, not {' or '.join(sorted(scale.dtypes))}"
            )
        elif flat:
            look_at_shape(tensor, scale, rows, columns, lines)
    lines.unexpected += [
        f"{module.name}.{part}"
        for part in WEIGHT_SCALES
        if part in module.parts and part not in layout.scales and part != "weight_scale_inv"
    ]


def look_at_shape(tensor: Tensor, scale: Scale, rows: int, columns: int, lines: Lines) -> None:
    allowed = scale.shapes(rows, columns)
    if tensor.shape not in allowed:
        wanted = " or ".join(str(list(shape)) for shape in allowed)
        lines.shapes.append(f"{tensor.name}: {list(tensor.shape)}, not {wanted}")


def findings_of(lines: Lines) -> Iterator[Finding]:
    again = "export the checkpoint again, with a current ModelOpt"
    for code, cause, evidence in (
        (
            "quantized-but-plain",
            "modules that the metadata says are quantized have plain weights and no scales",
            lines.plain,
        ),
        (
            "excluded-but-quantized",
            "modules that the metadata leaves unquantized have quantized weights",
            lines.hidden,
        ),
        (
            "layout-mismatch",
            "the tensors are of another algorithm than the metadata says",
            lines.mismatched,
        ),
        ("scale-missing", "scales that the algorithm needs are missing", lines.missing),
        ("dtype-wrong", "tensors have a dtype that the algorithm does not use", lines.dtypes),
        ("shape-wrong", "scales have a shape that does not fit their weight", lines.shapes),
        (
            "dimension-indivisible",
            "layers do not divide into the algorithm's groups along their input",
            lines.indivisible,
        ),
    ):
        if evidence:
            yield finding(code, Severity.ERROR, cause, evidence, again)
    if lines.unexpected:
        yield finding(
            "scale-unexpected",
            Severity.WARNING,
            "scales that the algorithm does not have; vLLM ignores them or stops at them",
            lines.unexpected,
            again,
        )
