"""Which GPUs a binary has code for: our own reader of nvcc's fat binaries.

A `.nv_fatbin` section (`__nv_relfatbin` for relocatable device code) holds one container for each
compiled source, each with one entry for each architecture and kind. NVIDIA publishes the container
header only (`fatbinary_section.h` of every toolkit); the entry header was worked out by ZLUDA
(`vosen/ZLUDA`), `n-eiling/cuda-fatbin-decompression` and `GrigoryEvko/nvopen-tools`, and is held
here against cuobjdump 12.8 and 13.5. The whole layout stands in docs/proof.md.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final, NoReturn

from vllm_forge.records.binary import CodeKind, GpuCode
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.verify.elf_file import open_elf, open_file
from vllm_forge.verify.fatbin_payload import decompress_lz4, parse_kernels

SECTIONS: Final = (".nv_fatbin", "__nv_relfatbin")
"""What runs, then what waits for a device link; the second counts only where the first is missing,
as for cuobjdump."""

MAGIC: Final = 0xBA55ED50
CONTAINER: Final = struct.Struct("<IHHQ")
"""magic, version, header size, size of all entries."""
ENTRY: Final = struct.Struct("<HHIQIIHHIIIQQQ")
"""kind, version, header size, padded payload size, compressed size, options offset, code version
minor, major, architecture, name offset, name size, flags, reserved, size when decompressed."""
PADDING: Final = 8

KINDS: Final = {1: CodeKind.PTX, 2: CodeKind.ELF, 8: CodeKind.NVVM}

FLAG_64_BIT: Final = 0x1
FLAG_DEBUG: Final = 0x2
FLAG_LZ4: Final = 0x2000
FLAG_ZSTD: Final = 0x8000
FLAG_EXACT: Final = 0x100000
"""The `a` of sm_90a."""
FLAG_FAMILY: Final = 0x200000
"""The `f` of sm_100f."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry header, and where in the file its payload lies."""

    code: GpuCode
    start: int
    stored: int
    size: int


def read_gpu_code(path: Path, *, kernels: bool = False) -> tuple[GpuCode, ...]:
    """All GPU code of a shared object, an object file or a bare .fatbin; () where it has none.

    `kernels` reads the payloads too, which costs the time of reading the whole file.

    Raises:
        Problem: exit 5, when the file is not there, of no such kind, or contradicts itself.
    """
    with open_file(path) as file:
        return parse_gpu_code(file, str(path), kernels=kernels)


def parse_gpu_code(file: IO[bytes], name: str, *, kernels: bool = False) -> tuple[GpuCode, ...]:
    """As `read_gpu_code`; `name` stands for the file in messages."""
    return tuple(
        with_kernels(file, entry, name) if kernels else entry.code
        for start, stop in find_fat_binaries(file, name)
        for entry in parse_containers(file, start, stop, name)
    )


def find_fat_binaries(file: IO[bytes], name: str) -> list[tuple[int, int]]:
    """File offsets, half-open, of what holds containers."""
    file.seek(0)
    if file.read(4) == MAGIC.to_bytes(4, "little"):
        return [(0, file.seek(0, 2))]
    with open_elf(file, name) as elf:
        for section in filter(None, map(elf.section, SECTIONS)):
            return [(section.offset, section.offset + section.size)]
    return []


def parse_containers(file: IO[bytes], start: int, stop: int, name: str) -> Iterator[Entry]:
    """Every entry between two file offsets. The linker pads containers with zeros."""
    place, number = start, 0
    while place < stop:
        if is_padding(file, place, stop):
            place += PADDING
            continue
        magic, version, header_size, size = _read(file, place, CONTAINER, stop, name)
        if magic != MAGIC or version != 1 or header_size < CONTAINER.size:
            damaged(name, f"no fat binary of version 1 at offset {place:#x}")
        end = place + header_size + size
        if end > stop:
            damaged(name, f"the fat binary at offset {place:#x} ends after its section")
        yield from parse_entries(file, (place + header_size, end), number, name)
        place, number = end, number + 1


def is_padding(file: IO[bytes], place: int, stop: int) -> bool:
    file.seek(place)
    return not any(file.read(min(PADDING, stop - place)))


def parse_entries(
    file: IO[bytes], span: tuple[int, int], container: int, name: str
) -> Iterator[Entry]:
    """The entries of one container."""
    place, end = span
    while place < end:
        (
            kind, _, header_size, padded, compressed, _, _, _, number, _, _, flags, _, expanded
        ) = _read(file, place, ENTRY, end, name)  # fmt: skip
        payload = place + header_size
        if header_size < ENTRY.size or payload + padded > end:
            damaged(name, f"the GPU code at offset {place:#x} ends after its fat binary")
        compression = "zstd" if flags & FLAG_ZSTD else "lz4" if flags & FLAG_LZ4 else None
        suffix = "a" if flags & FLAG_EXACT else "f" if flags & FLAG_FAMILY else ""
        code = GpuCode(
            kind=KINDS.get(kind, CodeKind.OTHER),
            architecture=f"{number}{suffix}",
            container=container,
            size=padded,
            bits=64 if flags & FLAG_64_BIT else 32,
            compression=compression,
            debug=bool(flags & FLAG_DEBUG),
        )
        stored = compressed if compression else padded
        yield Entry(code, payload, stored, expanded if compression else padded)
        place = payload + padded


def with_kernels(file: IO[bytes], entry: Entry, name: str) -> GpuCode:
    """Kernel names of a cubin; they stay None for what is no cubin or cannot be decompressed."""
    if entry.code.kind is not CodeKind.ELF or entry.code.compression == "zstd":
        return entry.code
    file.seek(entry.start)
    payload = file.read(entry.stored)
    try:
        if entry.code.compression:
            payload = decompress_lz4(payload, entry.size)
        return replace(entry.code, kernels=parse_kernels(payload))
    except ValueError as error:
        damaged(name, f"the cubin at offset {entry.start:#x}: {error}")


def _read(
    file: IO[bytes], place: int, header: struct.Struct, stop: int, name: str
) -> tuple[int, ...]:
    file.seek(place)
    data = file.read(min(header.size, stop - place))
    if len(data) < header.size:
        damaged(name, f"a header at offset {place:#x} is cut off")
    return header.unpack(data)


def damaged(name: str, cause: str) -> NoReturn:
    raise Problem(
        f"{name}: the GPU code cannot be read", causes=(cause,), exit_code=ExitCode.BAD_INPUT
    )
