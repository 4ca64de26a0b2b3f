"""Which Pythons and torches an extension fits: abi3 by name and by what it was compiled with."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Final

from vllm_forge.records.binary import Extension, TorchAbi
from vllm_forge.records.check import Check, CheckStatus
from vllm_forge.records.problem import Problem
from vllm_forge.verify.elf import read_exports
from vllm_forge.verify.torch_abi import judge_torch_abi, torch_symbols

PYTHON: Final = re.compile(r"_?Py[A-Z_]")
SHOWN: Final = 6
VERSION: Final = re.compile(r"^version(?:_info)? *= *(\d+)\.(\d+)", re.MULTILINE)


def read_python_version(environment: Path) -> tuple[int, int] | None:
    """Major and minor, as the environment's pyvenv.cfg says them (PEP 405)."""
    try:
        found = VERSION.search((environment / "pyvenv.cfg").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return (int(found[1]), int(found[2])) if found else None


def read_python_exports(python: Path) -> frozenset[str]:
    """What the interpreter offers to extensions: its program's names and its libpython's.

    Empty where neither can be read.
    """
    program = python.resolve()
    libraries = sorted((program.parent.parent / "lib").glob("libpython3*.so*"))
    exported: set[str] = set()
    for file in (program, *libraries):
        try:
            exported |= read_exports(file)
        except Problem:  # a script in the interpreter's place, or a damaged link
            continue
    return frozenset(name for name in exported if PYTHON.match(name))


def parse_limited_api(value: str) -> tuple[int, int]:
    """PEP 384: the value of Py_LIMITED_API is a version in hexadecimal, or 3 for the first.

    >>> parse_limited_api("0x03080000"), parse_limited_api("3")
    ((3, 8), (3, 2))
    """
    number = int(value, 0)
    return (3, 2) if number == 3 else (number >> 24, number >> 16 & 0xFF)  # noqa: PLR2004 -- PEP 384


def prove_abi(
    extension: Extension,
    limited: Sequence[str],
    python: tuple[int, int] | None,
    exports: frozenset[str],
) -> Check:
    """Its name, its Py_LIMITED_API and the interpreter's names agree; how it is bound to torch.

    `limited` are the values its sources were compiled with, empty where that is not known;
    `exports` what the interpreter offers, empty likewise.
    """
    name = PurePath(extension.path).name
    check = f"abi:{name}"
    asked = [one.name for one in extension.undefined if not one.weak and PYTHON.match(one.name)]
    floors = {parse_limited_api(value) for value in limited}
    floor = max(floors, default=None)
    if extension.module is not None and extension.module != name.partition(".")[0]:
        detail = f"Python looks for PyInit_{name.partition('.')[0]}, it has {extension.module}"
        return Check(check, CheckStatus.FAILED, detail)
    if floor is not None and python is not None and floor > python:
        detail = f"compiled for the stable ABI of {render(floor)}, this Python is {render(python)}"
        return Check(check, CheckStatus.FAILED, detail)
    missing = [one for one in asked if exports and one not in exports]
    if missing:
        detail = f"{len(missing)} of {len(asked)} names are not this Python's"
        return Check(check, CheckStatus.FAILED, detail, tuple(missing[:SHOWN]))
    said = render(floor) if floor else "unknown"
    kept = f"abi3, Py_LIMITED_API {said}" if extension.abi3 else "of one minor version"
    return Check(
        check,
        CheckStatus.PASSED,
        f"Python: {kept}, {len(asked)} names{' of this interpreter' if exports else ''}; "
        f"torch: {render_torch(extension)}",
    )


def render(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def render_torch(extension: Extension) -> str:
    count = sum(1 for _ in torch_symbols(extension))
    match judge_torch_abi(extension):
        case TorchAbi.NONE:
            return "none of its names"
        case TorchAbi.STABLE:
            return f"{count} names of its stable ABI, which outlives a release"
        case TorchAbi.CXX:
            return f"{count} C++ names, of this release alone"
