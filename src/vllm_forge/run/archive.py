"""Unpack an sdist; nothing of it can land outside its folder.

Python's own filters (PEP 706) came with 3.11.4; Debian 12 has 3.11.2. So members are judged here,
before the first byte is written, in every version alike.
"""

import posixpath
import tarfile
from collections.abc import Set as AbstractSet
from pathlib import Path

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.files import made_atomically

MODES = 0o755
"""What is kept of a member's mode: no set-uid, no writing by others."""


def unpack_sdist(archive: Path, folder: Path) -> None:
    """Unpack the one top folder of a .tar.gz as `folder`, atomically.

    A member that is refused refuses the whole archive.

    Raises:
        Problem: exit 5 for an archive that is damaged, escapes, or has not one top folder.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar, made_atomically(folder) as half:
            members = tar.getmembers()
            links = {posixpath.normpath(member.name) for member in members if member.issym()}
            for member in members:
                reason = why_refused(member, links)
                if reason is not None:
                    raise Problem(
                        f"{archive.name} is refused: its member {member.name!r} {reason}",
                        exit_code=ExitCode.BAD_INPUT,
                    )
                member.mode = (member.mode & MODES) | 0o600 | (0o100 if member.isdir() else 0)
                member.uid = member.gid = 0
                member.uname = member.gname = ""
            unpacked = half / "unpacked"
            unpacked.mkdir()
            tar.extractall(unpacked, members=members)  # noqa: S202 -- every member was judged above
            tops = list(unpacked.iterdir())
            if len(tops) != 1 or not tops[0].is_dir():
                names = ", ".join(sorted(top.name for top in tops)[:4])
                raise Problem(
                    f"{archive.name} has not one top folder but: {names or 'nothing'}",
                    exit_code=ExitCode.BAD_INPUT,
                )
            for entry in tops[0].iterdir():
                entry.rename(half / entry.name)
            tops[0].rmdir()
            unpacked.rmdir()
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise Problem(
                f"{folder} could not be written: {error.strerror}",
                exit_code=ExitCode.UNREACHABLE,
            ) from error
        raise Problem(
            f"{archive.name} is damaged: {error}",
            hints=(f"delete {archive} and run again",),
            exit_code=ExitCode.BAD_INPUT,
        ) from error


def why_refused(member: tarfile.TarInfo, links: AbstractSet[str] = frozenset()) -> str | None:
    """None for a folder, a file, or a link that stays inside; else what is wrong with it.

    `links` are the names of the archive's symbolic links. Nothing may lie below one of them, nor a
    link lead through one: `a -> .`, `b -> a/..` stays inside by its letters and does not in fact.

    >>> why_refused(tarfile.TarInfo("../evil"))
    'would land outside'
    >>> why_refused(tarfile.TarInfo("a/b"))
    >>> why_refused(tarfile.TarInfo("a/b"), {"a"})
    'lies below a symbolic link'
    """
    if _leaves(member.name):
        return "would land outside"
    name = posixpath.normpath(member.name)
    if _passes(member.name, links) or (name in links and not member.issym()):
        return "lies below a symbolic link"
    if member.issym() or member.islnk():
        here = posixpath.dirname(member.name) if member.issym() else ""
        target = posixpath.join(here, member.linkname)
        through = member.islnk() and posixpath.normpath(target) in links
        if _leaves(target) or _passes(target, links) or through:
            return f"links outside, to {member.linkname!r}"
    elif not (member.isfile() or member.isdir()):
        return "is neither file, folder nor link"
    return None


def _leaves(name: str) -> bool:
    return name.startswith("/") or posixpath.normpath(name).split("/")[0] == ".."


def _passes(name: str, links: AbstractSet[str]) -> bool:
    """Whether a folder on the way to `name` is one of `links`."""
    parts = name.rstrip("/").split("/")[:-1]
    ways = ("/".join(parts[: end + 1]) for end in range(len(parts)))
    return any(posixpath.normpath(way) in links for way in ways)
