"""Headers that lie, and headers that do not."""

import contextlib
import json
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllm_forge.checkpoint.safetensors_header import (
    DTYPE_BITS,
    Header,
    header_length,
    parse_header,
    read_header,
)
from vllm_forge.records.problem import ExitCode, Problem

if TYPE_CHECKING:
    from tests.unit.checkpoint.conftest import CheckpointFolder


def entry(dtype: object, shape: object, begin: object, end: object) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def outcome(text: bytes) -> Header | Problem:
    try:
        return parse_header(text, file="f", origin="f")
    except Problem as problem:
        return problem


def complaint(path: Path) -> str:
    with pytest.raises(Problem) as caught:
        read_header(path)
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert caught.value.message.startswith(str(path))
    return caught.value.message.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"a": entry("U8", [4], -4, 0)}, "tensor a: data_offsets [-4, 0] are not two places"),
        ({"a": entry("U8", [4], 4, 0)}, "tensor a: data_offsets [4, 0] end before they begin"),
        ({"a": entry("U8", [4], 0, 4.0)}, "tensor a: data_offsets [0, 4.0] are not two places"),
        ({"a": entry("U8", [4], 0, 1 << 70)}, "are not two places in the file"),
        ({"a": entry("U8", [-4], 0, 4)}, "tensor a: shape [-4] is not a list of sizes"),
        ({"a": entry("U8", [1] * 17, 0, 1)}, "is not a list of sizes"),
        ({"a": entry("F32", [2], 0, 4)}, "tensor a: F32 [2] does not fit the 4 bytes"),
        ({"a": entry(7, [2], 0, 4)}, "tensor a: dtype is not a string"),
        ({"a": []}, "tensor a: not an object"),
        (
            {"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 2, 6)},
            "the bytes of b and a overlap",
        ),
        (
            {"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 0, 4)},
            "the bytes of b and a overlap",
        ),
        (
            {"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 8, 12)},
            "4 bytes before b belong to no tensor",
        ),
        ({"__metadata__": 3}, "__metadata__ is not an object"),
        ({"a\x1b[31m\n": []}, r"tensor a\x1b[31m\n: not an object"),
    ],
)
def test_a_header_that_lies(header: object, message: str, folder: "CheckpointFolder") -> None:
    assert message in complaint(folder.write_safetensors(header, bytes(16)))


def test_a_duplicate_tensor(folder: "CheckpointFolder") -> None:
    one = json.dumps(entry("U8", [4], 0, 4))
    path = folder.write_safetensors(f'{{"a": {one}, "a": {one}}}'.encode(), bytes(4))
    assert complaint(path) == 'the key "a" stands twice in one object'


def test_ten_gigabytes_of_header_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with path.open("wb") as sparse:
        sparse.write((10 << 30).to_bytes(8, "little"))
        sparse.truncate(11 << 30)
    tracemalloc.start()
    message = complaint(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert message.startswith("header length 10737418240, more than the 100000000 bytes")
    assert peak < 1 << 20


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 bytes are too few for a safetensors file"),
        (b"\x10\0\0\0\0\0\0\0{}", "header length 16 in a file of 10 bytes"),
        (b"version https://git-lfs", "a Git LFS pointer, not the weights"),
        (b"\x02\0\0\0\0\0\0\0[]", "a JSON list where an object is expected"),
    ],
)
def test_a_file_that_is_not_safetensors(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    assert complaint(path).startswith(message)


def test_a_truncated_file_is_returned_with_what_it_promised(folder: "CheckpointFolder") -> None:
    path = folder.write_tensors({"a.weight": ("BF16", (4, 4))})
    whole = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-5])
    assert read_header(path).promised_size == whole


def test_offsets_are_absolute(folder: "CheckpointFolder") -> None:
    path = folder.write_safetensors({"a": entry("U8", [3], 0, 3)}, b"abc")
    tensor = read_header(path).tensors[0]
    assert path.read_bytes()[tensor.start : tensor.stop] == b"abc"


@st.composite
def headers(draw: st.DrawFn) -> tuple[dict[str, Any], int]:
    """A valid header, and its data's bytes."""
    names = draw(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), unique=True))
    header: dict[str, Any] = {}
    end = 0
    for name in names:
        if name == "__metadata__":
            continue
        dtype = draw(st.sampled_from(sorted(DTYPE_BITS)))
        shape = draw(st.lists(st.integers(0, 4), max_size=3))
        elements = 1
        for size in shape:
            elements *= size
        size = (elements * DTYPE_BITS[dtype] + 7) // 8
        header[name] = entry(dtype, shape, end, end + size)
        end += size
    return header, end


@given(headers())
def test_every_valid_header_is_read(made: tuple[dict[str, Any], int]) -> None:
    header, size = made
    text = json.dumps(header).encode()
    read = parse_header(text, file="f", origin="f")
    assert {tensor.name for tensor in read.tensors} == header.keys()
    assert read.promised_size == 8 + len(text) + size


@given(headers(), st.data())
def test_a_damaged_header_gives_one_line_or_sound_tensors(
    made: tuple[dict[str, Any], int], data: st.DataObject
) -> None:
    text = bytearray(json.dumps(made[0]).encode())
    for place in data.draw(st.lists(st.integers(0, len(text) - 1), max_size=4)):
        text[place] = data.draw(st.integers(32, 126))
    header = outcome(bytes(text))
    if isinstance(header, Problem):
        assert header.exit_code is ExitCode.BAD_INPUT
        assert header.message.isprintable()
        return
    end = 8 + len(text)
    for tensor in header.tensors:
        assert tensor.start == end
        end = tensor.stop
    assert header.promised_size == end


@given(st.binary(max_size=16), st.integers(0, 1 << 40))
def test_a_length_never_exceeds_the_file(head: bytes, size: int) -> None:
    with contextlib.suppress(Problem):
        assert 0 <= header_length(head[:8], size, origin="f") <= size - 8
