"""The tables of a shared object: symbols, symbol versions, the dynamic section.

Each is unpacked in one go, because libtorch_cpu.so exports 84,000 names and pyelftools makes an
object of each, which costs seconds; a damaged count or distance cannot make the reading endless.
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from vllm_forge.verify.elf_file import Elf

ELF64_SYMBOL: Final = "IBBHQQ"
"""name, info, other, section index, value, size: Elf64_Sym in elf(5)."""
ELF64_DYNAMIC: Final = "qQ"
"""tag, value: Elf64_Dyn."""
VERSION_NEED: Final = "HHIII"
"""version, number of auxiliaries, file name, offset of the first, offset of the next: Elf64_Verneed
in the Linux Standard Base, "Symbol Versioning"."""
VERSION_NEED_AUXILIARY: Final = "IHHII"
"""hash, flags, index, name, offset of the next: Elf64_Vernaux."""
VERSION_DEFINITION: Final = "HHHHIII"
"""version, flags, index, number of names, hash, offset of the first, of the next: Elf64_Verdef."""

STB_LOCAL, STB_WEAK = 0, 2
STT_FUNCTION = 2
STV_DEFAULT, STV_PROTECTED = 0, 3
DT_NEEDED, DT_RPATH, DT_RUNPATH = 1, 15, 29
VERSION_HIDDEN: Final = 0x8000


class Symbol(NamedTuple):
    """One entry; `number` is its place in the table, `address` and `size` in the loaded image.

    A tuple, because torch's libraries have 140,000 of them and a frozen dataclass is slow to make.
    """

    number: int
    name: str
    defined: bool
    weak: bool
    visible: bool
    function: bool
    address: int
    size: int


def parse_symbols(elf: Elf, table: str = ".dynsym") -> Iterator[Symbol]:
    """The symbols of one table, those without a name left out; `.dynsym` must be there.

    Local ones are left out of `.dynsym`, which has them for relocations alone.
    """
    section = elf.section(table)
    if section is None:
        if table == ".dynsym":
            raise ValueError("no dynamic symbols: not a shared object")
        return
    names = elf.names_of(section)
    entries = struct.iter_unpack(elf.order + ELF64_SYMBOL, elf.data(section))
    for number, (name, info, other, place, address, size) in enumerate(entries):
        if not name or (info >> 4 == STB_LOCAL and table == ".dynsym"):
            continue
        yield Symbol(
            number=number,
            name=string_at(names, name),
            defined=place != 0,
            weak=info >> 4 == STB_WEAK,
            visible=other & 3 in (STV_DEFAULT, STV_PROTECTED),
            function=info & 0xF == STT_FUNCTION,
            address=address,
            size=size,
        )


def string_at(names: bytes, place: int) -> str:
    """One string of a string table; ValueError where none is."""
    return names[place : names.index(b"\0", place)].decode()


def parse_needed_versions(elf: Elf) -> dict[int, tuple[str, str]]:
    """Symbol index → (version, library), from .gnu.version and .gnu.version_r."""
    needs, numbers = elf.section(".gnu.version_r"), elf.section(".gnu.version")
    if needs is None or numbers is None:
        return {}
    data, names = elf.data(needs), elf.names_of(needs)
    known: dict[int, tuple[str, str]] = {}
    for place, (_, _, library, first, _) in chain(data, elf.order + VERSION_NEED, 0):
        for _, auxiliary in chain(data, elf.order + VERSION_NEED_AUXILIARY, place + first):
            known[auxiliary[2]] = string_at(names, auxiliary[3]), string_at(names, library)
    return {
        index: known[number & ~VERSION_HIDDEN]
        for index, (number,) in enumerate(struct.iter_unpack(elf.order + "H", elf.data(numbers)))
        if number & ~VERSION_HIDDEN in known
    }


def parse_defined_versions(elf: Elf) -> Iterator[str]:
    """The first name of each entry of .gnu.version_d; the others are its ancestors."""
    section = elf.section(".gnu.version_d")
    if section is None:
        return
    data, names = elf.data(section), elf.names_of(section)
    for place, entry in chain(data, elf.order + VERSION_DEFINITION, 0):
        (name,) = struct.unpack_from(elf.order + "I", data, place + entry[5])
        yield string_at(names, name)


def chain(data: bytes, layout: str, place: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """A list whose entries end with the distance to the next one, zero in the last."""
    while True:
        entry = struct.unpack_from(layout, data, place)
        yield place, entry
        if entry[-1] == 0:
            return
        place += entry[-1]


def parse_dynamic(elf: Elf) -> dict[int, list[str]]:
    """DT_NEEDED, DT_RPATH and DT_RUNPATH of the dynamic section."""
    section = elf.section(".dynamic")
    if section is None:
        raise ValueError("no dynamic section: statically linked, or an object file")
    names = elf.names_of(section)
    found: dict[int, list[str]] = {DT_NEEDED: [], DT_RPATH: [], DT_RUNPATH: []}
    for tag, value in struct.iter_unpack(elf.order + ELF64_DYNAMIC, elf.data(section)):
        if tag in found:
            found[tag].append(string_at(names, value))
    return found
