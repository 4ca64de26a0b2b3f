"""An extension's library search path: read, and changed in place as CMake's install does."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from struct import calcsize, iter_unpack
from typing import Final

from vllm_forge.records.problem import Problem
from vllm_forge.verify.elf_file import Elf, open_elf
from vllm_forge.verify.elf_tables import DT_RPATH, DT_RUNPATH, ELF64_DYNAMIC

COPY_MODE: Final = 0o555


SPARE: Final = re.compile("/{9,}(?=[ :]|$)")


class BadElfError(Exception):
    """Not a shared object, or its search path has no room for the new one."""


ROOM: Final = 256
"""Bytes that a link reserves for the path of another home."""


@dataclass(frozen=True, slots=True)
class RunPath:
    """`offset` in the file, None where the object has no search path at all; `room` in bytes."""

    text: str
    offset: int | None
    room: int = 0


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
            found = elf.data(strings)[value:]
            text, _, rest = found.partition(b"\0")
            spare = len(rest) - len(rest.lstrip(b"\0"))  # of a longer path that was written over
            return RunPath(os.fsdecode(text), strings.offset + value, len(text) + spare)
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
    """Write it over the present one, filled up with NULs as CMake does: it may not be longer.

    Raises:
        BadElfError: it is.
    """
    new = os.fsencode(wanted)
    if len(new) > now.room or now.offset is None:
        raise BadElfError(f"{file}: no room for the run path {wanted}")
    with file.open("r+b") as data:
        data.seek(now.offset)
        data.write(new.ljust(now.room, b"\0"))


def with_room(run_path: str) -> str:
    """The same folder in `ROOM` bytes, for the linker: slashes at the end say nothing.

    >>> len(with_room("/home/lib")), with_room("/home/lib")[:12]
    (256, '/home/lib///')
    """
    return run_path.ljust(ROOM, "/")


def without_room(text: str) -> str:
    """A text (of flags) without the slashes that `with_room` put there.

    >>> without_room("-Wl,-rpath,/lib//////////////// -lnuma")
    '-Wl,-rpath,/lib -lnuma'
    """
    return SPARE.sub("", text)


def without_folders(run_path: str, folders: tuple[str, ...]) -> str:
    """The entries that lie in none of `folders`: as an install drops what served the build alone.

    torch's libraries and the CUDA runtime are loaded by torch before any extension is.

    >>> without_folders("/env/torch/lib:/home/system/lib:/env2", ("/env", "/build"))
    '/home/system/lib:/env2'
    """
    kept = [
        entry
        for entry in without_room(run_path).split(":")
        if entry and not any(entry == one or entry.startswith(f"{one}/") for one in folders)
    ]
    return ":".join(dict.fromkeys(kept))
