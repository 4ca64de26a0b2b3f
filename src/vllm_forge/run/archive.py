"""Unpack an sdist; nothing of it can land outside its folder."""

import tarfile
from pathlib import Path

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.files import made_atomically


def unpack_sdist(archive: Path, folder: Path) -> None:
    """Unpack the one top folder of a .tar.gz as `folder`, atomically.

    Python's own data filter (PEP 706) refuses absolute names, `..`, links that point outside, and
    devices; a refused member refuses the whole archive.

    Raises:
        Problem: exit 5 for an archive that is damaged, escapes, or has not one top folder.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar, made_atomically(folder) as half:
            members = tar.getmembers()
            tops = {member.name.split("/", 1)[0] for member in members}
            unpacked = half / "unpacked"
            tar.extractall(unpacked, members=members, filter="data")
            if len(tops) != 1:
                raise Problem(
                    f"{archive.name} has not one top folder but {sorted(tops)[:4]}",
                    exit_code=ExitCode.BAD_INPUT,
                )
            for entry in (unpacked / tops.pop()).iterdir():
                entry.rename(half / entry.name)
            unpacked_top = next(unpacked.iterdir())
            unpacked_top.rmdir()
            unpacked.rmdir()
    except tarfile.FilterError as error:
        raise Problem(
            f"{archive.name} is refused: its member {error.tarinfo.name!r} would land outside",
            causes=(str(error),),
            exit_code=ExitCode.BAD_INPUT,
        ) from error
    except (tarfile.TarError, EOFError) as error:
        raise Problem(
            f"{archive.name} is damaged: {error}",
            hints=(f"delete {archive} and run again",),
            exit_code=ExitCode.BAD_INPUT,
        ) from error
