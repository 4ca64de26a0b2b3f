"""The head of a safetensors file, read as a stranger's.

The file is: 8 bytes, little-endian length N of the header; N bytes of JSON, tensor name →
`{"dtype", "shape", "data_offsets": [begin, end]}` with offsets relative to the data, and an
optional `__metadata__`; then the data, without holes. The reference implementation refuses what
is refused here (huggingface/safetensors, safetensors/src/tensor.rs, `Metadata::validate`), except
that we also read a file whose data were cut off, so as to say so.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeGuard

from vllm_forge.checkpoint.documents import parse_object, regular_size
from vllm_forge.checkpoint.trouble import bad_checkpoint, shown, unreadable
from vllm_forge.records.checkpoint import Tensor

LENGTH_BYTES: Final = 8
LARGEST_HEADER: Final = 100_000_000
"""Bytes; MAX_HEADER_SIZE of the reference implementation."""
LARGEST_DIMENSION: Final = 1 << 48
MOST_DIMENSIONS: Final = 16
LFS_POINTER: Final = b"version "
"""The first 8 bytes of a Git LFS pointer file (`version https…`)."""

DTYPE_BITS: Final = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "F8_E4M3": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2": 8,
    "F8_E5M2FNUZ": 8,
    "F8_E8M0": 8,
    "U16": 16,
    "I16": 16,
    "F16": 16,
    "BF16": 16,
    "U32": 32,
    "I32": 32,
    "F32": 32,
    "C64": 64,
    "U64": 64,
    "I64": 64,
    "F64": 64,
}


@dataclass(frozen=True, slots=True)
class Header:
    """`promised_size` are the bytes the file must have; the tensors' offsets are absolute."""

    tensors: tuple[Tensor, ...]
    promised_size: int


def read_header(path: Path) -> Header:
    """Two small reads at the start of a file.

    Raises:
        Problem: exit 5, when the header is not one. A file that is shorter or longer than its
            header promises is returned: compare `promised_size`.
    """
    size = regular_size(path)
    try:
        with path.open("rb") as data:
            head = data.read(LENGTH_BYTES)
            length = header_length(head, size, origin=str(path))
            text = data.read(length)
    except OSError as error:
        raise unreadable(path, error) from error
    if len(text) < length:
        raise bad_checkpoint(f"{shown(str(path))}: cut off inside its header")
    return parse_header(text, file=path.name, origin=str(path))


def header_length(head: bytes, size: int, *, origin: str) -> int:
    """The length N, held against the file's `size` before a byte of it is read."""
    where = shown(origin)
    if len(head) < LENGTH_BYTES:
        raise bad_checkpoint(f"{where}: {size} bytes are too few for a safetensors file")
    if head == LFS_POINTER:
        raise bad_checkpoint(
            f"{where}: a Git LFS pointer, not the weights", "git lfs pull, in that folder"
        )
    length = int.from_bytes(head, "little")
    if length > LARGEST_HEADER:
        raise bad_checkpoint(
            f"{where}: header length {length}, more than the {LARGEST_HEADER} bytes "
            "a safetensors header may have"
        )
    if length > size - LENGTH_BYTES:
        raise bad_checkpoint(
            f"{where}: header length {length} in a file of {size} bytes: not a safetensors "
            "file, or cut off inside its header"
        )
    return length


def parse_header(text: bytes, *, file: str, origin: str) -> Header:
    """Header JSON → tensors in the order of their data."""
    where = shown(origin)
    entries = parse_object(text, origin=origin)
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        raise bad_checkpoint(f"{where}: __metadata__ is not an object")
    data_start = LENGTH_BYTES + len(text)
    tensors = sorted(
        (
            parse_entry(name, entry, data_start, file=file, where=where)
            for name, entry in entries.items()
        ),
        key=lambda tensor: (tensor.start, tensor.stop),
    )
    end = data_start
    before: Tensor | None = None
    for tensor in tensors:
        if tensor.start < end and before is not None:
            raise bad_checkpoint(
                f"{where}: the bytes of {shown(tensor.name)} and {shown(before.name)} overlap"
            )
        if tensor.start > end:
            raise bad_checkpoint(
                f"{where}: {tensor.start - end} bytes before {shown(tensor.name)} "
                "belong to no tensor"
            )
        end, before = tensor.stop, tensor
    return Header(tensors=tuple(tensors), promised_size=end)


def parse_entry(name: str, entry: Any, data_start: int, *, file: str, where: str) -> Tensor:  # noqa: ANN401 -- unchecked JSON
    """One tensor; `where` is the file as shown in a message."""

    def bad(fact: str) -> Exception:
        return bad_checkpoint(f"{where}: tensor {shown(name)}: {fact}")

    if not isinstance(entry, dict):
        raise bad("not an object")
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str):
        raise bad("dtype is not a string")
    if not _whole_numbers(shape) or len(shape) > MOST_DIMENSIONS:
        raise bad(f"shape {shown(str(shape))} is not a list of sizes")
    if not _whole_numbers(offsets) or len(offsets) != 2:  # noqa: PLR2004 -- begin and end
        raise bad(f"data_offsets {shown(str(offsets))} are not two places in the file")
    begin, end = offsets
    if end < begin:
        raise bad(f"data_offsets {offsets} end before they begin")
    bits = DTYPE_BITS.get(dtype)
    if bits is not None:
        elements = 1
        for size in shape:
            elements *= size
        if (elements * bits + 7) // 8 != end - begin:
            raise bad(f"{dtype} {shape} does not fit the {end - begin} bytes of its data_offsets")
    return Tensor(name, dtype, tuple(shape), file, data_start + begin, data_start + end)


def _whole_numbers(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(
        type(number) is int and 0 <= number <= LARGEST_DIMENSION for number in value
    )
