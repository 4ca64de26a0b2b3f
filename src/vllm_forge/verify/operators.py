"""Which operators an extension registers, read from the file alone.

TORCH_LIBRARY(ns, m) makes a function `TORCH_LIBRARY_init_ns` and TORCH_LIBRARY_IMPL(ns, key, m) one
`TORCH_LIBRARY_IMPL_init_ns_key_N` (torch/library.h; torch/csrc/stable/library.h likewise with
STABLE_ before them); small ones are inlined into their file's static initializer. Their machine
code refers to the schema strings and operator names in .rodata. The displacement of such a
reference is relative to the end of its four bytes (Intel SDM, 2.2.1.6), so it can be found without
decoding instructions. A definition without a schema (`m.def("name", &function)`) leaves no trace.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from vllm_forge.records.binary import Operator
from vllm_forge.records.check import Check, CheckStatus
from vllm_forge.verify.elf_file import Elf, open_elf, open_file
from vllm_forge.verify.elf_tables import parse_symbols

INIT: Final = re.compile(
    r"TORCH_LIBRARY_(?:FRAGMENT_init_(?P<fragment>\w+?)_\d+"
    r"|IMPL_init_(?P<impl>\w+)_(?P<key>[A-Z][A-Za-z0-9]*)_\d+"
    r"|init_(?P<library>\w+?))(?=E?(?:RN|PN|Pv))"
)
"""Within the mangled name; what follows is the type of its parameter."""
STATIC_INITIALIZER: Final = "_GLOBAL__sub_I_"
SCHEMA: Final = re.compile(rb"(?P<name>[A-Za-z_][\w.]*)\([^\0]*\)\s*->\s*[^\0]+")
NAME: Final = re.compile(rb"(?:\w+::)?(?P<name>[A-Za-z_][\w.]*)")
DISPLACEMENT: Final = 4
SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Registration:
    """One function that registers: `namespace` None for a static initializer, `key` None for
    definitions; `address` and `size` (bytes) in the loaded image.
    """  # noqa: D205 -- three facts, no headline

    namespace: str | None
    key: str | None
    address: int
    size: int


class Image:
    """Bytes by their address in the loaded image, for the sections that are wanted."""

    def __init__(self, sections: Sequence[tuple[int, bytes]]) -> None:
        self._sections = sections

    def read(self, address: int, size: int) -> bytes:
        for start, data in self._sections:
            if start <= address < start + len(data):
                return data[address - start : address - start + size]
        return b""

    def string(self, address: int) -> tuple[bytes, bool] | None:
        """The text from there to the next NUL, and whether a string begins there.

        The linker lets a string share the end of a longer one.
        """
        for start, data in self._sections:
            place = address - start
            if 0 <= place < len(data):
                text = data[place : data.find(b"\0", place)]
                return text, place == 0 or data[place - 1] == 0
        return None

    def strings(self) -> Iterator[bytes]:
        for _, data in self._sections:
            yield from data.split(b"\0")


def read_operators(path: Path) -> tuple[Operator, ...]:
    """Operators in the order in which they are registered; () for a file that registers none.

    Raises:
        Problem: exit 5, when `path` is not there or not an ELF shared object.
    """
    with open_file(path) as file:
        return parse_operators(file, str(path))


def parse_operators(file: IO[bytes], name: str) -> tuple[Operator, ...]:
    """As `read_operators`; `name` stands for the file in messages."""
    with open_elf(file, name) as elf:
        constants = Image(
            [
                (section.address, elf.data(section))
                for section in elf.sections
                if section.name.startswith(".rodata")
            ]
        )
        registrations = find_registrations(elf) if elf.machine == "x86_64" else []
        text = elf.section(".text")
        if text is None or all(one.namespace is None for one in registrations):
            return operators_without_namespace(constants)
        code = Image([(text.address, elf.data(text))])
        return operators_of(registrations, code, constants)


def find_registrations(elf: Elf) -> list[Registration]:
    """Definitions first, whatever the order in the file."""
    found: list[Registration] = []
    for symbol in parse_symbols(elf, ".symtab"):
        if not symbol.function or symbol.name.endswith(".cold"):
            continue
        match = INIT.search(symbol.name)
        if match:
            namespace = match["library"] or match["fragment"] or match["impl"]
            found.append(Registration(namespace, match["key"], symbol.address, symbol.size))
        elif symbol.name.startswith(STATIC_INITIALIZER):
            found.append(Registration(None, "*", symbol.address, symbol.size))
    return sorted(found, key=lambda one: (one.key is not None, one.namespace is None))


def operators_of(
    registrations: Sequence[Registration], code: Image, constants: Image
) -> tuple[Operator, ...]:
    schemas: dict[tuple[str, str], str] = {}
    implementations: dict[tuple[str, str], str] = {}
    for one in registrations:
        body = code.read(one.address, one.size)
        for text, begins in referred_strings(body, one.address, constants):
            schema, name = SCHEMA.fullmatch(text), NAME.fullmatch(text)
            if schema and begins and one.namespace and one.key is None:
                schemas.setdefault((one.namespace, schema["name"].decode()), text.decode())
            elif name:
                for defined in matching(schemas, one.namespace, name["name"].decode()):
                    implementations.setdefault(defined, one.key or "*")
    return tuple(
        Operator(namespace, name, schema, implementations.get((namespace, name)))
        for (namespace, name), schema in schemas.items()
    )


def matching(
    schemas: Mapping[tuple[str, str], str], namespace: str | None, name: str
) -> Iterator[tuple[str, str]]:
    """The defined operators that this name can mean."""
    if namespace is None:
        yield from (defined for defined in schemas if defined[1] == name)
    elif (namespace, name) in schemas:
        yield namespace, name


def referred_strings(code: bytes, address: int, constants: Image) -> Iterator[tuple[bytes, bool]]:
    """What `Image.string` has for every address the code points at, in the order of the code."""
    for place in range(len(code) - DISPLACEMENT + 1):
        displacement = int.from_bytes(code[place : place + DISPLACEMENT], "little", signed=True)
        found = constants.string(address + place + DISPLACEMENT + displacement)
        if found:
            yield found


def operators_without_namespace(constants: Image) -> tuple[Operator, ...]:
    """Every schema among the constants, for a stripped file or another processor's code."""
    found = (SCHEMA.fullmatch(text) for text in constants.strings())
    return tuple(
        Operator(None, match["name"].decode(), match[0].decode(), None) for match in found if match
    )


def prove_operators(name: str, operators: Sequence[Operator], wanted: Sequence[str]) -> Check:
    """Every wanted operator (`_C::static_scaled_fp8_quant`) is defined in the extension `name`.

    What is defined without any implementation seen is told as evidence: the definition may carry
    it, or a source that was left out of the build would have brought it.
    """
    check = f"operators:{name}"
    if not operators:
        return Check(check, CheckStatus.SKIPPED, "it registers no operator with a schema")
    stripped = all(operator.namespace is None for operator in operators)
    defined = {
        operator.name if stripped else f"{operator.namespace}::{operator.name}": operator
        for operator in operators
    }
    missing = [
        one for one in wanted if (one.rpartition("::")[2] if stripped else one) not in defined
    ]
    bare = [
        f"{one}: defined, no implementation registered apart from it"
        for one, operator in defined.items()
        if not stripped and operator.implementation is None
    ]
    if missing:
        return Check(
            check,
            CheckStatus.FAILED,
            f"{len(missing)} of {len(wanted)} operators are not in it",
            (*shown(missing), *shown(bare)),
        )
    return Check(check, CheckStatus.PASSED, f"registers {len(operators)} operators", shown(bare))


def shown(lines: Sequence[str]) -> tuple[str, ...]:
    more = len(lines) - SHOWN
    return (*lines[:SHOWN], *([f"and {more} more"] if more > 0 else []))
