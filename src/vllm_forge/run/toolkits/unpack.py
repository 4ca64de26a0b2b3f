"""Unpack the needed files of a package into a prefix; nothing of it can land elsewhere.

Files are streamed: of Debian's 2.5 GB of static libraries not one touches the disk.
"""

import lzma
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.archive import why_refused

PlaceOf = Callable[[str], str | None]
"""A member's name → its place in the prefix; None for what a build does not need."""

AR_MAGIC: Final = b"!<arch>\n"
AR_HEADER: Final = 60
DATA: Final = "data.tar"


def unpack_deb(package: Path, prefix: Path, place_of: PlaceOf) -> None:
    """The files of a .deb (deb(5): an ar archive whose data.tar.* holds them).

    Raises:
        Problem: exit 5 for a damaged package, exit 4 when the disk is full.
    """
    with _guarded(package, prefix), package.open("rb") as file:
        _seek_member(file, DATA)
        with tarfile.open(fileobj=file, mode="r|xz") as tar:
            _unpack(tar, package.name, prefix, place_of)


def unpack_tar_xz(archive: Path, prefix: Path, place_of: PlaceOf) -> None:
    """The files of a .tar.xz; raises as `unpack_deb`."""
    with _guarded(archive, prefix), tarfile.open(archive, "r|xz") as tar:
        _unpack(tar, archive.name, prefix, place_of)


def move_needed(tree: Path, prefix: Path, place_of: PlaceOf) -> None:
    """The needed files of an unpacked tree, moved (both lie on one file system).

    Raises:
        Problem: exit 4 when the disk is full.
    """
    with _guarded(tree, prefix):
        for file in sorted(tree.rglob("*")):
            place = place_of(str(file.relative_to(tree)))
            if place is None or file.is_dir():
                continue
            to = prefix / place
            to.parent.mkdir(parents=True, exist_ok=True)
            file.rename(to)


def _unpack(tar: tarfile.TarFile, name: str, prefix: Path, place_of: PlaceOf) -> None:
    for member in tar:
        place = None if member.isdir() else place_of(member.name)
        if place is None:
            continue
        reason = _why_refused(member, place)
        if reason is not None:
            raise Problem(
                f"{name} is refused: its member {member.name!r} {reason}",
                exit_code=ExitCode.BAD_INPUT,
            )
        to = prefix / place
        to.parent.mkdir(parents=True, exist_ok=True)
        if member.issym():
            to.symlink_to(member.linkname)
            continue
        data = tar.extractfile(member)
        if data is None:
            continue
        with data, to.open("xb") as out:
            shutil.copyfileobj(data, out, 1 << 20)
        to.chmod(0o755 if member.mode & 0o111 else 0o644)


def _why_refused(member: tarfile.TarInfo, place: str) -> str | None:
    """Stricter than for an sdist: links only to a neighbour, so no folder is another one."""
    if ".." in place.split("/"):
        return "would land outside"
    if member.issym() and "/" in member.linkname:
        return f"links to another folder, to {member.linkname!r}"
    if member.islnk():
        return "is a hard link"
    return why_refused(member, frozenset())


def _seek_member(file: IO[bytes], name: str) -> None:
    """Leave `file` at the first byte of the member whose name begins so."""
    if file.read(len(AR_MAGIC)) != AR_MAGIC:
        raise tarfile.ReadError("not an ar archive")
    for found, size in _members(file):
        if found.startswith(name):
            return
        file.seek(size + size % 2, 1)
    raise tarfile.ReadError(f"no {name} in it")


def _members(file: IO[bytes]) -> Iterator[tuple[str, int]]:
    """(name, size) of each ar header; the caller moves past the member."""
    while len(header := file.read(AR_HEADER)) == AR_HEADER:
        try:
            yield header[:16].decode().strip().rstrip("/"), int(header[48:58])
        except ValueError as error:
            raise tarfile.ReadError("its ar header is damaged") from error


@contextmanager
def _guarded(archive: Path, prefix: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise Problem(
            f"{archive.name} holds {error.filename} a second time",
            exit_code=ExitCode.BAD_INPUT,
        ) from error
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise Problem(
            f"{archive.name} is damaged: {error}",
            hints=(f"delete {archive} and run again",),
            exit_code=ExitCode.BAD_INPUT,
        ) from error
    except OSError as error:
        raise Problem(
            f"{prefix} could not be written: {error.strerror or error}",
            causes=(f"while unpacking {archive.name}",),
            hints=("make room, or choose another folder with --home DIR; then run again",),
            exit_code=ExitCode.UNREACHABLE,
        ) from error
