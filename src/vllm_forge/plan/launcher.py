"""How CMake is told of what stands in front of compilers and linkers."""

from pathlib import PurePath
from typing import Final

LINKING: Final = ("C", "CXX")
"""CMake has no linker launcher for CUDA (its help on <LANG>_LINKER_LAUNCHER, 4.4)."""


def launcher_definitions(launcher: PurePath, *, cuda: bool) -> dict[str, str]:
    """CMake definitions that put the launcher in front of every compile and link.

    The launcher starts the compiler cache, if there is one: a build with another cache, or with
    none, has the same command lines, and nothing is compiled again for it. CMake takes them as
    lists: a path with a semicolon cannot be one.
    """
    languages = ("C", "CXX", *(("CUDA",) if cuda else ()))
    return {
        **{f"CMAKE_{language}_COMPILER_LAUNCHER": str(launcher) for language in languages},
        **{f"CMAKE_{language}_LINKER_LAUNCHER": str(launcher) for language in LINKING},
    }
