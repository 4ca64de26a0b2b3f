"""What each algorithm's tensors look like: N outputs, K inputs.

Measured on exports of ModelOpt 0.46.0; 0.33.1 writes the same for the formats it has.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from vllm_forge.records.checkpoint import Tensor

Shapes = Callable[[int, int], tuple[tuple[int, ...], ...]]
"""(N, K) → the shapes a scale may have."""


@dataclass(frozen=True, slots=True)
class Scale:
    dtypes: frozenset[str]
    shapes: Shapes
    required: bool = True


@dataclass(frozen=True, slots=True)
class Layout:
    """`weight` is the stored dtype; `rows_packed` and `columns_packed` elements share a byte.

    K must be a multiple of `input_multiple`, or a group of weights has no scale of its own.
    """

    weight: str
    scales: dict[str, Scale]
    rows_packed: int = 1
    columns_packed: int = 1
    input_multiple: int = 1

    def logical(self, weight: Tensor) -> tuple[int, int]:
        """(N, K) of a 2-D weight."""
        rows, columns = weight.shape
        return rows * self.rows_packed, columns * self.columns_packed


def scalar(rows: int, columns: int) -> tuple[tuple[int, ...], ...]:
    _ = rows, columns
    return (), (1,)


def by_row(rows: int, columns: int) -> tuple[tuple[int, ...], ...]:
    _ = columns
    return (rows,), (rows, 1)


def by_block(rows: int, columns: int) -> tuple[tuple[int, ...], ...]:
    """Blocks of 128 x 128, the last ones partial; ModelOpt writes the 4-D form."""
    down, across = -(-rows // 128), -(-columns // 128)
    return (down, 1, across, 1), (down, across)


def by_group(size: int) -> Shapes:
    def shapes(rows: int, columns: int) -> tuple[tuple[int, ...], ...]:
        return ((rows, columns // size),)

    return shapes


def any_vector(rows: int, columns: int) -> tuple[tuple[int, ...], ...]:
    _ = rows
    return (), (1,), (columns,)


FLOATS: Final = frozenset({"F32", "BF16", "F16"})
E4M3: Final = frozenset({"F8_E4M3"})
E8M0: Final = frozenset({"U8", "F8_E8M0"})
SCALAR: Final = Scale(FLOATS, scalar)
OPTIONAL_SCALAR: Final = Scale(FLOATS, scalar, required=False)
PRE_QUANT: Final = Scale(FLOATS, any_vector, required=False)

LAYOUTS: Final = {
    "FP8": Layout("F8_E4M3", {"weight_scale": SCALAR, "input_scale": SCALAR}),
    "FP8_PER_CHANNEL_PER_TOKEN": Layout("F8_E4M3", {"weight_scale": Scale(FLOATS, by_row)}),
    "FP8_PB_WO": Layout("F8_E4M3", {"weight_scale": Scale(FLOATS, by_block)}, input_multiple=128),
    "MXFP8": Layout("F8_E4M3", {"weight_scale": Scale(E8M0, by_group(32))}, input_multiple=32),
    "NVFP4": Layout(
        "U8",
        {
            "weight_scale": Scale(E4M3, by_group(16)),
            "weight_scale_2": SCALAR,
            "input_scale": SCALAR,
        },
        columns_packed=2,
        input_multiple=16,
    ),
    "W4A16_NVFP4": Layout(
        "U8",
        {
            "weight_scale": Scale(E4M3, by_group(16)),
            "weight_scale_2": SCALAR,
            "input_scale": OPTIONAL_SCALAR,
        },
        columns_packed=2,
        input_multiple=16,
    ),
    "W4A16_AWQ": Layout(
        "U8",
        {"weight_scale": Scale(FLOATS, by_group(128)), "pre_quant_scale": PRE_QUANT},
        rows_packed=2,
        input_multiple=128,
    ),
    "W4A8_AWQ": Layout(
        "U8",
        {
            "weight_scale": Scale(FLOATS, by_group(128)),
            "weight_scale_2": SCALAR,
            "input_scale": SCALAR,
            "pre_quant_scale": PRE_QUANT,
        },
        rows_packed=2,
        input_multiple=128,
    ),
    "W8A8_SQ_PER_CHANNEL": Layout(
        "I8",
        {
            "weight_scale": Scale(FLOATS, by_row),
            "input_scale": SCALAR,
            "pre_quant_scale": PRE_QUANT,
        },
    ),
}
