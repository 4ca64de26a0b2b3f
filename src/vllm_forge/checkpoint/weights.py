"""The safetensors files of a model directory: which there are, which should be, what they hold."""

import re
from pathlib import Path, PurePosixPath
from typing import Final

from vllm_forge.checkpoint.documents import read_document, regular_size
from vllm_forge.checkpoint.fields import Fields
from vllm_forge.checkpoint.safetensors_header import read_header
from vllm_forge.checkpoint.trouble import bad_checkpoint, shown
from vllm_forge.records.checkpoint import Shard, Tensor, Weights

INDEX: Final = "model.safetensors.index.json"
NUMBERED: Final = re.compile(r"(?P<stem>.+-)(?P<number>\d{5})-of-(?P<total>\d{5})\.safetensors")
MOST_SHARDS: Final = 10_000


def read_weights(folder: Path, names: tuple[str, ...]) -> Weights:
    """`names` are the files in the folder. Without safetensors files everything is empty.

    Raises:
        Problem: exit 5 for a damaged index or header, or a file named outside the folder.
    """
    present = tuple(name for name in names if name.endswith(".safetensors"))
    index = read_index(folder / INDEX) if INDEX in names else None
    wanted = wanted_files(present, index)
    shards: list[Shard] = []
    tensors: list[Tensor] = []
    for name in wanted:
        if name not in present:
            continue
        path = folder / name
        header = read_header(path)
        shards.append(Shard(name, regular_size(path), header.promised_size, len(header.tensors)))
        tensors += header.tensors
    return Weights(
        shards=tuple(shards),
        tensors=tuple(tensors),
        index=index,
        missing=tuple(name for name in wanted if name not in present),
        unlisted=tuple(name for name in present if name not in wanted),
    )


def read_index(path: Path) -> dict[str, str]:
    """`weight_map`: tensor → file, a bare file name each."""
    weight_map = Fields(read_document(path), shown(str(path))).fields("weight_map")
    if weight_map is None:
        raise bad_checkpoint(f"{shown(str(path))}: no weight_map")
    index: dict[str, str] = {}
    for tensor, file in weight_map.values.items():
        if not isinstance(file, str) or not is_bare_name(file):
            raise bad_checkpoint(
                f"{weight_map.origin}: {shown(tensor)} is said to be in {shown(repr(file))}, "
                "which leaves the folder"
            )
        index[tensor] = file
    return index


def is_bare_name(file: str) -> bool:
    """A file of this folder and no other: no separator, no parent, nothing hidden in it."""
    return (
        file not in {"", ".", ".."}
        and PurePosixPath(file).name == file
        and "\\" not in file
        and file.isprintable()
    )


def wanted_files(present: tuple[str, ...], index: dict[str, str] | None) -> tuple[str, ...]:
    """The index decides, as in vLLM (`filter_duplicate_safetensors_files`).

    Without one: every file, and those that the numbering `NAME-00001-of-00003` asks for; but
    Mistral's `consolidated*` only where it is all there is, since it repeats the others.
    """
    if index is not None:
        return tuple(sorted(set(index.values())))
    usual = [name for name in present if not name.startswith("consolidated")]
    wanted = set(usual or present)
    for name in tuple(wanted):
        numbered = NUMBERED.fullmatch(name)
        if numbered is None:
            continue
        total = min(int(numbered["total"]), MOST_SHARDS)
        wanted |= {
            f"{numbered['stem']}{number:05d}-of-{numbered['total']}.safetensors"
            for number in range(1, total + 1)
        }
    return tuple(sorted(wanted))
