"""How CMake is told of what stands in front of compilers and linkers."""

from pathlib import PurePath
from typing import Final

LINKING: Final = ("C", "CXX")
"""CMake has no linker launcher for CUDA (its help on <LANG>_LINKER_LAUNCHER, 4.4)."""


def launcher_definitions(
    launcher: PurePath, *, cuda: bool, cache: PurePath | None = None
) -> dict[str, str]:
    """CMake definitions that put the launcher in front of every compile (and cache) and link.

    CMake takes them as lists: a path with a semicolon cannot be one.
    """
    languages = ("C", "CXX", *(("CUDA",) if cuda else ()))
    compile_with = ";".join(str(part) for part in (launcher, cache) if part is not None)
    return {
        **{f"CMAKE_{language}_COMPILER_LAUNCHER": compile_with for language in languages},
        **{f"CMAKE_{language}_LINKER_LAUNCHER": str(launcher) for language in LINKING},
    }
