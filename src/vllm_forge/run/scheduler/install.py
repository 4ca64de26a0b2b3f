"""The launcher, made once for each home, and how CMake is told of it."""

import hashlib
import os
import shlex
import sys
from importlib import resources
from pathlib import Path
from typing import Final

from vllm_forge.records.doors import RunCommand
from vllm_forge.run.files import write_atomically
from vllm_forge.run.lock import locked

NAME: Final = "forge-launch"

WAYS: Final = (("-static",), ("-Wl,--as-needed",))
"""Static starts quickest; its C library is not everywhere."""

LINKING: Final = ("C", "CXX")
"""CMake has no linker launcher for CUDA (its help on <LANG>_LINKER_LAUNCHER, 4.4)."""


def make_launcher(home: Path, compiler: str, run: RunCommand) -> Path:
    """`home/launcher/forge-launch`, compiled by `compiler` (gcc, g++ or clang), else in Python.

    The path stays the same over versions: it is part of every command line in build.ninja, and a
    new one would compile everything again.

    Raises:
        OSError: where the home cannot be written.
    """
    folder = home / "launcher"
    launcher, stamp = folder / NAME, folder / "made-from"
    source = resources.files("vllm_forge.run.scheduler").joinpath("launcher.c").read_bytes()
    said = f"{hashlib.sha256(source).hexdigest()} {sys.executable}\n"
    if _stands(launcher, stamp, said):
        return launcher
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock", on_wait=lambda _message: None):
        if not _stands(launcher, stamp, said):
            half = folder / f".{NAME}.half"
            if not _compile(source, half, compiler, run):
                half.write_text(_script())
                half.chmod(0o755)
            half.replace(launcher)  # a running one keeps its old file
            write_atomically(stamp, said)
    return launcher


def _stands(launcher: Path, stamp: Path, said: str) -> bool:
    try:
        return os.access(launcher, os.X_OK) and stamp.read_text() == said
    except OSError:
        return False


def _compile(source: bytes, into: Path, compiler: str, run: RunCommand) -> bool:
    """Whether it compiles and runs."""
    text = into.with_suffix(".c")
    text.write_bytes(source)
    for way in WAYS:
        into.unlink(missing_ok=True)
        made = run([compiler, "-x", "c", "-O2", *way, "-o", into, text])
        if made.code == 0 and run([into, "true"]).code == 0:
            return True
    return False


def _script() -> str:
    launcher = Path(__file__).with_name("launcher.py")
    return f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -IS {shlex.quote(str(launcher))} "$@"\n'


def launcher_definitions(
    launcher: Path, *, cuda: bool, cache: Path | None = None
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
