"""The section table of an ELF object, held against the size of the file."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from vllm_forge.records.problem import ExitCode, Problem

SECTION_HEADER_SIZE: Final = 64
MOST_SECTIONS: Final = 0xFF00
"""SHN_LORESERVE; more are allowed for object files, and no linker makes them."""

MACHINES: Final = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64", "EM_PPC64": "ppc64le"}


@dataclass(frozen=True, slots=True)
class Section:
    """`address` in the loaded image; `offset` and `size` in the file, `link` another's number."""

    name: str
    address: int
    offset: int
    size: int
    link: int


@dataclass(frozen=True, slots=True)
class Elf:
    """An open 64-bit object whose sections are known to lie within the file."""

    file: IO[bytes]
    machine: str
    order: str
    sections: tuple[Section, ...]

    def section(self, name: str) -> Section | None:
        return next((one for one in self.sections if one.name == name), None)

    def data(self, section: Section) -> bytes:
        self.file.seek(section.offset)
        return self.file.read(section.size)

    def names_of(self, section: Section) -> bytes:
        """The string table that a symbol, version or dynamic table refers to."""
        return self.data(self.sections[section.link])


@contextmanager
def open_elf(file: IO[bytes], name: str) -> Iterator[Elf]:
    """The object in `file`; whatever damage shows while it is read comes back as a Problem.

    Raises:
        Problem: exit 5, when `file` is no 64-bit ELF object or contradicts itself.
    """
    try:
        yield parse_elf(file)
    except (ELFError, struct.error, ValueError, IndexError, KeyError, OverflowError) as error:
        raise Problem(
            f"{name} is not a readable ELF object",
            causes=(str(error) or type(error).__name__,),
            exit_code=ExitCode.BAD_INPUT,
        ) from error


def parse_elf(file: IO[bytes]) -> Elf:
    """Read the section table and hold it against the size of the file.

    Raises:
        ELFError, ValueError, OverflowError: the file is damaged.
    """
    end = file.seek(0, 2)
    elf = ELFFile(file)
    header = elf.header
    if elf.elfclass != 64:  # noqa: PLR2004 -- bits
        raise ValueError(f"a {elf.elfclass}-bit object")
    if header["e_shentsize"] != SECTION_HEADER_SIZE or not 0 < header["e_shnum"] < MOST_SECTIONS:
        raise ValueError("no section table")
    sections = []
    for one in elf.iter_sections():
        stored = 0 if one["sh_type"] == "SHT_NOBITS" else one["sh_size"]
        if one["sh_offset"] + stored > end:
            raise ValueError(f"section {one.name} ends after the file")
        place = one["sh_addr"], one["sh_offset"], stored, one["sh_link"]
        sections.append(Section(one.name, *place))
    machine = str(header["e_machine"])
    order = "<" if elf.little_endian else ">"
    return Elf(file, MACHINES.get(machine, machine), order, tuple(sections))


@contextmanager
def open_file(path: Path) -> Iterator[IO[bytes]]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise Problem(
            f"{path} cannot be read",
            causes=(error.strerror or str(error),),
            exit_code=ExitCode.BAD_INPUT,
        ) from error
