"""The few scale scalars: the only bytes of data that inspection reads."""

import struct
from itertools import groupby
from pathlib import Path
from typing import Final

from vllm_forge.checkpoint.modules import split_name
from vllm_forge.checkpoint.trouble import unreadable
from vllm_forge.records.checkpoint import Checkpoint, Tensor

MOST_SCALARS: Final = 200_000
SCALAR_PARTS: Final = frozenset(
    {"weight_scale", "weight_scale_2", "input_scale", "k_scale", "v_scale"}
)
WIDTHS: Final = {"F32": 4, "BF16": 2, "F16": 2}


def read_scalars(checkpoint: Checkpoint) -> dict[str, float]:
    """One-element scales, name → value, of the first `MOST_SCALARS`; a truncated file gives fewer.

    Raises:
        Problem: exit 5 when a file cannot be read.
    """
    wanted = [tensor for tensor in checkpoint.weights.tensors if is_scalar(tensor)]
    scalars: dict[str, float] = {}
    by_file = groupby(wanted[:MOST_SCALARS], key=lambda tensor: tensor.file)
    for file, tensors in by_file:
        path = Path(checkpoint.path) / file
        try:
            with path.open("rb") as data:
                for tensor in tensors:
                    data.seek(tensor.start)
                    raw = data.read(tensor.stop - tensor.start)
                    if len(raw) == WIDTHS[tensor.dtype]:
                        scalars[tensor.name] = decode(raw, tensor.dtype)
        except OSError as error:
            raise unreadable(path, error) from error
    return scalars


def is_scalar(tensor: Tensor) -> bool:
    return (
        tensor.dtype in WIDTHS
        and tensor.stop - tensor.start == WIDTHS[tensor.dtype]
        and split_name(tensor.name)[1] in SCALAR_PARTS
    )


def decode(raw: bytes, dtype: str) -> float:
    """Little-endian bytes of one number; BF16 is the upper half of F32."""
    if dtype == "BF16":
        raw, dtype = b"\x00\x00" + raw, "F32"
    value: float = struct.unpack("<f" if dtype == "F32" else "<e", raw)[0]
    return value
