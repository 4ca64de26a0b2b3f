"""Shared objects, read without loading them."""

from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import IO, Final

from vllm_forge.records.binary import Extension, UndefinedSymbol
from vllm_forge.verify.elf_file import open_elf, open_file
from vllm_forge.verify.elf_tables import (
    DT_NEEDED,
    DT_RPATH,
    DT_RUNPATH,
    parse_defined_versions,
    parse_dynamic,
    parse_needed_versions,
    parse_symbols,
)

MODULE_PREFIX: Final = "PyInit_"


def read_extension(path: Path) -> Extension:
    """Everything the loader would ask, from the file alone.

    Raises:
        Problem: exit 5, when `path` is not there or not an ELF shared object.
    """
    with open_file(path) as file:
        return parse_extension(file, str(path))


def parse_extension(file: IO[bytes], name: str) -> Extension:
    """As `read_extension`; `name` stands for the file in messages and in the record."""
    with open_elf(file, name) as elf:
        symbols = tuple(parse_symbols(elf))
        versions = parse_needed_versions(elf)
        dynamic = parse_dynamic(elf)
    undefined = tuple(
        UndefinedSymbol(symbol.name, version, library, symbol.weak)
        for symbol in symbols
        if not symbol.defined
        for version, library in [versions.get(symbol.number, (None, None))]
    )
    modules = [
        symbol.name.removeprefix(MODULE_PREFIX)
        for symbol in symbols
        if symbol.defined and symbol.visible and symbol.name.startswith(MODULE_PREFIX)
    ]
    return Extension(
        path=name,
        machine=elf.machine,
        needed=tuple(dynamic[DT_NEEDED]),
        rpath=split_paths(dynamic[DT_RPATH]),
        runpath=split_paths(dynamic[DT_RUNPATH]),
        undefined=undefined,
        module=modules[0] if modules else None,
        abi3=".abi3." in PurePath(name).name,
        floors=version_floors(symbol.version for symbol in undefined if symbol.version),
    )


def read_exports(path: Path) -> frozenset[str]:
    """Every name that `path` offers to others.

    Raises:
        Problem: exit 5, when `path` is not there or not an ELF shared object.
    """
    with open_file(path) as file, open_elf(file, str(path)) as elf:
        return frozenset(
            symbol.name for symbol in parse_symbols(elf) if symbol.defined and symbol.visible
        )


def read_defined_versions(path: Path) -> frozenset[str]:
    """The symbol versions that a system library offers (`GLIBCXX_3.4.30`, …).

    Raises:
        Problem: exit 5, when `path` is not there or not an ELF shared object.
    """
    with open_file(path) as file, open_elf(file, str(path)) as elf:
        return frozenset(parse_defined_versions(elf))


def split_paths(values: list[str]) -> tuple[str, ...]:
    return tuple(path for value in values for path in value.split(":") if path)


def version_floors(versions: Iterator[str]) -> dict[str, str]:
    """The newest of each family: GLIBC_2.2.5, GLIBC_2.34 → {"GLIBC": "2.34"}.

    Families are those of the C and C++ run time; a library that stamps its own soname
    (`libcudart.so.12`) or a private mark (`GLIBC_PRIVATE`) has no floor.
    """
    floors: dict[str, str] = {}
    for version in versions:
        family, _, number = version.partition("_")
        parts = number.split(".")
        if family not in {"GLIBC", "GLIBCXX", "CXXABI", "GCC"} or not all(
            part.isdecimal() for part in parts
        ):
            continue
        if family not in floors or version_key(number) > version_key(floors[family]):
            floors[family] = number
    return floors


def version_key(number: str) -> tuple[int, ...]:
    """2.34 → (2, 34), to be compared."""
    return tuple(int(part) for part in number.split("."))
