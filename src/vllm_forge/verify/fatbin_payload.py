"""What a cubin holds: the names of its kernels.

Payloads are plain, LZ4 blocks (nvcc up to 12.8) or zstd frames (12.9 on). LZ4 is small enough to
be read here; for zstd there is no decoder in Python before 3.14, and the names stay unknown.
"""

import struct
from typing import Final

SECTION_HEADER: Final = struct.Struct("<IIQQQQIIQQ")
"""Elf64_Shdr in elf(5): name, type, flags, address, offset, size, link, info, align, entry size."""
KERNEL_SECTION: Final = b".nv.constant0."
"""Every kernel has its parameters in a constant bank of its own; device functions have none."""
LONG: Final = 15


def parse_kernels(cubin: bytes) -> tuple[str, ...]:
    """Mangled kernel names of a decompressed cubin, sorted.

    Raises:
        ValueError: not a 64-bit ELF object, or one that contradicts itself.
    """
    if cubin[:5] != b"\x7fELF\x02":
        raise ValueError("not a 64-bit ELF object")
    try:
        (table,) = struct.unpack_from("<Q", cubin, 0x28)
        size, count, names_index = struct.unpack_from("<HHH", cubin, 0x3A)
        headers = [
            SECTION_HEADER.unpack_from(cubin, table + index * size) for index in range(count)
        ]
        start, length = headers[names_index][4:6]
    except (struct.error, IndexError, OverflowError) as error:
        raise ValueError("the section table is cut off") from error
    names = cubin[start : start + length]
    sections = (names[header[0] : names.index(b"\0", header[0])] for header in headers)
    return tuple(
        sorted(
            name.removeprefix(KERNEL_SECTION).decode()
            for name in sections
            if name.startswith(KERNEL_SECTION)
        )
    )


def decompress_lz4(block: bytes, size: int) -> bytes:
    """One LZ4 block, as the LZ4 project's "LZ4 Block Format Description" has it.

    Raises:
        ValueError: the block is damaged or does not yield `size` bytes.
    """
    done = bytearray()
    place = 0
    try:
        while place < len(block) and len(done) < size:
            token = block[place]
            place += 1
            literals, place = _length(block, place, token >> 4)
            done += block[place : place + literals]
            place += literals
            if len(done) >= size:
                break
            distance = block[place] | block[place + 1] << 8
            matched, place = _length(block, place + 2, token & LONG)
            _repeat(done, distance, matched + 4)
    except IndexError as error:
        raise ValueError("the LZ4 block is cut off") from error
    if len(done) != size:
        raise ValueError(f"the LZ4 block holds {len(done)} bytes, not {size}")
    return bytes(done)


def _length(block: bytes, place: int, nibble: int) -> tuple[int, int]:
    """A length that does not fit its four bits goes on in bytes until one is not 255."""
    if nibble < LONG:
        return nibble, place
    length = LONG
    while block[place] == 0xFF:  # noqa: PLR2004 -- a full byte
        length += 0xFF
        place += 1
    return length + block[place], place + 1


def _repeat(done: bytearray, distance: int, length: int) -> None:
    """Copy from `distance` back; an overlap repeats what it has just copied."""
    if not 0 < distance <= len(done):
        raise ValueError(f"the LZ4 block points {distance} bytes back, after {len(done)}")
    piece = done[-distance:]
    done += (piece * (length // distance + 1))[:length]
