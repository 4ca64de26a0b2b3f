"""The launcher, made once for each home."""

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

WAYS: Final = (("-static",), ("-Wl,--as-needed",))
"""Static starts quickest; its C library is not everywhere."""


def make_launcher(launcher: Path, compiler: str, run: RunCommand) -> Path:
    """Make `launcher` (Home.launcher) with `compiler` (gcc, g++ or clang), else in Python.

    The path stays the same over versions: it is part of every command line in build.ninja, and a
    new one would compile everything again.

    Raises:
        OSError: where the home cannot be written.
    """
    folder = launcher.parent
    stamp = folder / "made-from"
    source = resources.files("vllm_forge.run.scheduler").joinpath("launcher.c").read_bytes()
    said = f"{hashlib.sha256(source).hexdigest()} {sys.executable}\n"
    if _stands(launcher, stamp, said):
        return launcher
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock", on_wait=lambda _message: None):
        if not _stands(launcher, stamp, said):
            half = folder / f".{launcher.name}.half"
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
