"""One CMake run; a build folder says what it was made from and is cleared, aloud, on a mismatch."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vllm_forge.records.codec import render_json
from vllm_forge.records.plan import HOOK, MENDED, Configure
from vllm_forge.records.problem import Problem
from vllm_forge.run.files import write_atomically
from vllm_forge.run.process import Worked, work
from vllm_forge.run.tools import build_variables, tool

MADE_FROM = "forge-configure.json"
MADE_BY = "forge-toolchain"
"""Names the compilers by content: CMake asks them once, and ninja never."""

GENERATED = "*GEN_SCRIPT_HASH*"
"""Where vLLM's CMake remembers that a generator ran (0.8 to 0.33): by the script's own digest, not
by what it reads. Forgotten, it runs again."""


def configure(
    action: Configure,
    toolchain: str,
    *,
    log: Path,
    on_line: Callable[[str], None],
    on_note: Callable[[str], None],
) -> Worked:
    """Configure `action.build`; a folder configured otherwise before is emptied first.

    So is one of another `toolchain` (its identity): nothing in it is of use.

    Raises:
        Problem: exit 1 with CMake's own error.
    """
    build = Path(action.build)
    said = render_json(without_hook(action))
    stamp, made_by = build / MADE_FROM, build / MADE_BY
    same = _holds(stamp, said) and (_holds(made_by, toolchain) or not made_by.exists())
    if build.exists() and not same:  # a folder of an earlier version says not what made it
        if any(build.iterdir()):
            on_note(f"{build} was configured otherwise; starting it afresh")
        shutil.rmtree(build)
    build.mkdir(parents=True, exist_ok=True)
    definitions = all_definitions(action)
    worked = work(
        [
            *(tool("cmake"), "-G", "Ninja", "-S", action.source, "-B", build),
            f"-U{GENERATED}",
            *(f"-D{name}={value}" for name, value in definitions.items()),
        ],
        log=log,
        env=build_variables(**action.variables),
        on_line=on_line,
    )
    if worked.code != 0:
        raise Problem(
            "CMake could not configure the tree",
            causes=(*first_cmake_error(log.read_text(errors="replace")), f"log: {log}"),
        )
    write_atomically(made_by, toolchain)
    write_atomically(stamp, said)
    return worked


def configured_by(build: Path) -> Path | None:
    """The cmake that made the folder, as its cache has it: build.ninja calls it again by itself."""
    try:
        cache = (build / "CMakeCache.txt").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r"^CMAKE_COMMAND:INTERNAL=(.+)$", cache, re.MULTILINE)
    return Path(found[1]) if found else None


def _holds(file: Path, said: str) -> bool:
    try:
        return file.read_bytes() == said.encode()
    except OSError:
        return False


def without_hook(action: Configure) -> Configure:
    """What decides whether a folder can be used again.

    The hook changes options of sources and nothing in CMake's cache: with it or without, ninja
    compiles anew what has other options.
    """
    kept = {name: at for name, at in action.definitions.items() if name not in {HOOK, MENDED}}
    return replace(action, definitions=kept)


def all_definitions(action: Configure) -> dict[str, str]:
    """The action's own, and the programs."""
    return {
        "CMAKE_MAKE_PROGRAM": str(tool("ninja")),
        "CMAKE_CXX_COMPILER": action.compiler,
        **action.definitions,
    }


def first_cmake_error(said: str) -> tuple[str, ...]:
    r"""The first `CMake Error` block, which ends at an empty line followed by unindented text.

    >>> first_cmake_error("-- ok\nCMake Error at a.cmake:3 (message):\n  no torch\n\n-- end\n")
    ('CMake Error at a.cmake:3 (message):', 'no torch')
    """
    block: list[str] = []
    for line in said.splitlines():
        if line.startswith("CMake Error"):
            block = [line]
        elif block and line and not line.startswith(" "):
            break
        elif block and line.strip():
            block.append(line.strip())
    return tuple(block[:12])
