"""Atomic writes, digests, and folders that say they are caches."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from vllm_forge.records.problem import ExitCode, Problem

CACHE_TAG: Final = (
    "Signature: 8a477f597d28d172789f06886806bc55\n# Made by vllm-forge; safe to delete.\n"
)
"""The cache folder tag that backup programs skip (bford.info/cachedir)."""

DISK_FAULTS: Final = frozenset(
    {errno.EACCES, errno.EDQUOT, errno.EIO, errno.ENOSPC, errno.EPERM, errno.EROFS}
)
"""What a disk or its rights do to us; every other OSError is a mistake of ours."""


def disk_failed(error: OSError, place: Path) -> Problem:
    """Exit 4 for one of `DISK_FAULTS`; `place` is named where the error names no file."""
    return Problem(
        f"{error.filename or place} cannot be written: {error.strerror}",
        hints=("choose another file system: --home DIR",),
        exit_code=ExitCode.UNREACHABLE,
    )


def write_atomically(path: Path, data: bytes | str) -> None:
    """All of `data` or nothing: a temporary file beside `path`, flushed, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = data.encode() if isinstance(data, str) else data
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def made_atomically(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `folder`; when the body ends well it becomes `folder`.

    A half-made folder never carries the name. What an earlier death left beside it is removed:
    the caller holds the lock of the thing being made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    half = folder.parent / f".{folder.name}.half"
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    try:
        yield half
        shutil.rmtree(folder, ignore_errors=True)
        half.rename(folder)
    except BaseException:
        shutil.rmtree(half, ignore_errors=True)
        raise


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def mtime_of(path: Path) -> int | None:
    """Nanoseconds; None for what is not there."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def make_home(home: Path) -> None:
    """The forge's own folder with its cache tag.

    Raises:
        Problem: exit 4 when it cannot be made or written.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        tag = home / "CACHEDIR.TAG"
        if not tag.exists():
            write_atomically(tag, CACHE_TAG)
    except OSError as error:
        raise Problem(
            f"{home} cannot be written: {error.strerror}",
            hints=("choose another folder with --home DIR or VLLM_FORGE_HOME",),
            exit_code=ExitCode.UNREACHABLE,
        ) from error
