"""Which release a tree is, and which Pythons it can be built for."""

import re
import tomllib
from typing import Any, Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from vllm_forge.records.sourced import Sourced
from vllm_forge.release.python_syntax import constant_string, find_assignment
from vllm_forge.release.source_tree import SourceTree, bad_tree

PYTHONS: Final = tuple(f"3.{minor}" for minor in range(6, 40))
"""Every minor version a range could mean."""


def read_pyproject(tree: SourceTree) -> dict[str, Any]:
    """pyproject.toml as it stands.

    Raises:
        Problem: exit 5 when it is not TOML or not vLLM's.
    """
    path = tree.root / "pyproject.toml"
    try:
        document = tomllib.loads(tree.text("pyproject.toml") or "")
    except tomllib.TOMLDecodeError as error:
        raise bad_tree(f"{path} is not TOML: {error}") from error
    name = document.get("project", {}).get("name")
    if name != "vllm":
        raise bad_tree(
            f"{tree.root} is not a vLLM source tree: {path} is that of {name or 'no project'}"
        )
    return document


def read_version(tree: SourceTree) -> Sourced[str]:
    """setuptools-scm's `_version.py` (sdists, built checkouts), else PKG-INFO, else unknown.

    pyproject.toml says only that the version is dynamic.
    """
    module = tree.module("vllm/_version.py")
    for name in ("__version__", "version"):
        found = find_assignment(module, name) if module else None
        text = constant_string(found[0]) if found else None
        if found and is_version(text):
            return Sourced(text, f"vllm/_version.py:{found[1]}")
    for number, line in enumerate((tree.text("PKG-INFO") or "").splitlines(), 1):
        key, _, value = line.partition(":")
        if key == "Version" and is_version(value.strip()):
            return Sourced(value.strip(), f"PKG-INFO:{number}")
    return Sourced(None, "looked in vllm/_version.py and PKG-INFO")


def is_version(text: str | None) -> bool:
    try:
        return text is not None and bool(str(Version(text)))
    except InvalidVersion:
        return False


def read_python_range(tree: SourceTree) -> Sourced[str]:
    """requires-python met with CMake's list of versions it accepts.

    0.8.0 has `>=3.9` in pyproject.toml while CMakeLists.txt stops at 3.12: only both together say
    what can be built. CMake's configure stops when the interpreter is not listed
    (`find_python_from_executable`, cmake/utils.cmake).
    """
    required = read_pyproject(tree)["project"].get("requires-python")
    listed = next(
        (
            command
            for command in tree.commands("CMakeLists.txt")
            if command.name == "set" and command.words()[:1] == ("PYTHON_SUPPORTED_VERSIONS",)
        ),
        None,
    )
    where = "pyproject.toml [project].requires-python"
    if required is None and listed is None:
        return Sourced(None, f"looked in {where} and CMakeLists.txt PYTHON_SUPPORTED_VERSIONS")
    try:
        specifier = SpecifierSet(required or "")
    except InvalidSpecifier as error:
        raise bad_tree(f"{tree.root / 'pyproject.toml'}: requires-python {error}") from error
    if listed is None:
        return Sourced(str(specifier), where)
    where = (
        f"{where} and CMakeLists.txt:{listed.line}" if required else f"CMakeLists.txt:{listed.line}"
    )
    minors = [
        minor
        for minor in re.split(r"[;\s]+", " ".join(listed.words()[1:]))
        if minor in PYTHONS and any(specifier.contains(f"{minor}.{patch}") for patch in (0, 99))
    ]
    return Sourced(render_range(minors), where) if minors else Sourced(None, f"{where} do not meet")


def render_range(minors: list[str]) -> str:
    """`["3.9", "3.10"]` → `<3.11,>=3.9`; gaps are excluded by name."""
    first, last = (int(minors[i].partition(".")[2]) for i in (0, -1))
    gaps = [f"!=3.{n}.*" for n in range(first, last) if f"3.{n}" not in minors]
    return str(SpecifierSet(",".join([f">=3.{first}", f"<3.{last + 1}", *gaps])))
