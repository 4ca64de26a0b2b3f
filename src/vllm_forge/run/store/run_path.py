"""An extension's library search path: read, and changed in place as CMake's install does."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from struct import calcsize, iter_unpack
from typing import Final

from vllm_forge.records.problem import Problem
from vllm_forge.verify.elf_file import Elf, open_elf
from vllm_forge.verify.elf_tables import DT_RPATH, DT_RUNPATH, ELF64_DYNAMIC

COPY_MODE: Final = 0o555


class BadElfError(Exception):
    """Not a shared object, or its search path has no room for the new one."""


@dataclass(frozen=True, slots=True)
class RunPath:
    """`offset` in the file, None where the object has no search path at all."""

    text: str
    offset: int | None


def read_run_path(file: Path) -> RunPath:
    """Raises BadElfError for what is no shared object."""
    try:
        with file.open("rb") as data, open_elf(data, str(file)) as elf:
            return _find(elf)
    except Problem as problem:
        raise BadElfError(problem.message) from problem


def _find(elf: Elf) -> RunPath:
    dynamic = elf.section(".dynamic")
    if dynamic is None:
        return RunPath("", None)
    strings = elf.sections[dynamic.link]
    data = elf.data(dynamic)
    whole = len(data) - len(data) % calcsize(ELF64_DYNAMIC)
    for tag, value in iter_unpack(f"{elf.order}{ELF64_DYNAMIC}", data[:whole]):
        if tag in {DT_RPATH, DT_RUNPATH}:
            text = elf.data(strings)[value:].split(b"\0", 1)[0]
            return RunPath(os.fsdecode(text), strings.offset + value)
    return RunPath("", None)


def set_run_path(file: Path, wanted: str) -> None:
    """Make it `wanted`, in a copy that takes the file's place; nothing is done where it is so.

    The copy because `file` may be a hard link to a store's blob.

    Raises:
        BadElfError: there is no room for it, or `file` is no shared object.
    """
    now = read_run_path(file)
    if now.text == wanted:
        return
    half = file.with_name(f"{file.name}.patched")
    try:
        shutil.copyfile(file, half)
        write_run_path(half, now, wanted)
        half.chmod(COPY_MODE)
        half.replace(file)
    finally:
        half.unlink(missing_ok=True)


def write_run_path(file: Path, now: RunPath, wanted: str) -> None:
    """Write it over the present one, filled up with NULs as CMake does: it may not be longer."""
    old, new = os.fsencode(now.text), os.fsencode(wanted)
    if len(new) > len(old) or now.offset is None:
        raise BadElfError(f"{file}: no room for the run path {wanted}")
    with file.open("r+b") as data:
        data.seek(now.offset)
        data.write(new.ljust(len(old), b"\0"))


def without_folders(run_path: str, folders: tuple[str, ...]) -> str:
    """The entries that lie in none of `folders`: as an install drops what served the build alone.

    torch's libraries and the CUDA runtime are loaded by torch before any extension is.

    >>> without_folders("/env/torch/lib:/home/system/lib:/env2", ("/env", "/build"))
    '/home/system/lib:/env2'
    """
    kept = [
        entry
        for entry in run_path.split(":")
        if entry and not any(entry == one or entry.startswith(f"{one}/") for one in folders)
    ]
    return ":".join(dict.fromkeys(kept))
