"""What a saved file asks for: a new plan, CMake, compilers, or nothing."""

from enum import IntEnum
from pathlib import PurePath
from typing import Final

FACT_FILES: Final = frozenset({"pyproject.toml", "setup.py"})
FACT_FOLDERS: Final = frozenset({"requirements"})
WATCHED: Final = ("cmake", "csrc", "requirements", "vllm")
"""The folders of a tree in which a save can ask for something."""

COMPILED: Final = frozenset(
    {".c", ".cc", ".cpp", ".cu", ".cuh", ".cxx", ".h", ".hh", ".hpp", ".inc", ".inl", ".ipp"}
)
WORDS: Final = frozenset({".md", ".rst", ".txt"})


class Edit(IntEnum):
    """The greater asks for more, and includes the lesser."""

    NOTHING = 0
    """Nobody reads it."""
    PYTHON = 1
    """An editable install has it at once."""
    COMPILE = 2
    """ninja knows who reads it."""
    CONFIGURE = 3
    """CMake reads it, or runs it: a generator of sources is run when configuring."""
    PLAN = 4
    """The facts that a plan is made from."""


def judge_edit(path: PurePath) -> Edit:
    """By its name alone; `path` is relative to the tree.

    >>> [judge_edit(PurePath(name)).name for name in ("csrc/cache.cpp", "csrc/marlin/generate.py")]
    ['COMPILE', 'CONFIGURE']
    """
    top = path.parts[0] if path.parts else ""
    if path.name.startswith("."):
        return Edit.NOTHING  # an editor's, or half of an extension being replaced
    if str(path) in FACT_FILES or top in FACT_FOLDERS:
        return Edit.PLAN
    if str(path) == "CMakeLists.txt" or top == "cmake":
        return Edit.CONFIGURE
    if top == "csrc":
        return _judge_native(path)
    if top == "vllm" and path.suffix != ".so":
        return Edit.PYTHON
    return Edit.NOTHING


def _judge_native(path: PurePath) -> Edit:
    if path.suffix in COMPILED:
        return Edit.COMPILE
    if path.name != "CMakeLists.txt" and path.suffix in WORDS:
        return Edit.NOTHING
    return Edit.CONFIGURE
