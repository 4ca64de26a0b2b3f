"""CUTLASS out of the package index: sdists of other projects carry it, and are held to the tag.

Where one sdist leaves out a part, another brings it: natten's copy of 4.0.0 is without tools and
python, flash-attn's without the .inl headers. What was put together must have the digest of the
pinned tag's headers, else it is not used.
"""

import shutil
from pathlib import Path
from time import monotonic

from packaging.version import Version

from vllm_forge.records.event import StepProgress
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.project import ObtainedProject
from vllm_forge.records.release import FetchedProject
from vllm_forge.resolve.carried import CARRIED, Carrier
from vllm_forge.run.archive import unpack_sdist
from vllm_forge.run.doors import Doors
from vllm_forge.run.download import download
from vllm_forge.run.files import made_atomically
from vllm_forge.run.index import read_project
from vllm_forge.run.lock import locked
from vllm_forge.run.projects.cutlass import CMAKE, is_tag


def unpack_carried(project: FetchedProject, version: str, doors: Doors) -> ObtainedProject:
    """Make sources/cutlass-VERSION from the sdists that carry it.

    Raises:
        Problem: exit 4 when the index has one not or cannot be asked, exit 5 when what they carry
            is not the tag.
    """
    folder = doors.home.source(f"cutlass-{version}")
    carriers = CARRIED[version]
    with locked(doors.home.lock(folder.name), on_wait=lambda _message: None):
        if not folder.is_dir():
            _make(version, carriers, folder, doors)
    return ObtainedProject(
        name=project.name,
        folder=str(folder),
        origin="index",
        said=f"CUTLASS {version}, carried by the sdists of {' and '.join(map(str, carriers))}",
        revision=version,
        exact=True,
    )


def _make(version: str, carriers: tuple[Carrier, ...], folder: Path, doors: Doors) -> None:
    archives = [_fetch(carrier, doors) for carrier in carriers]
    with made_atomically(folder) as half:
        for carrier, archive in zip(carriers, archives, strict=True):
            sdist = half / "sdist"
            unpack_sdist(archive, sdist)
            for part in carrier.parts:
                try:
                    (sdist / carrier.within / part).rename(half / part)
                except OSError as error:
                    raise Problem(
                        f"{archive.name} carries no {carrier.within}/{part}",
                        exit_code=ExitCode.BAD_INPUT,
                    ) from error
            shutil.rmtree(sdist)
        if not is_tag(half, version):
            raise Problem(
                f"what {' and '.join(map(str, carriers))} carry is not CUTLASS {version}",
                causes=("the headers have another digest than the tag's",),
                exit_code=ExitCode.BAD_INPUT,
            )
        (half / "CMakeLists.txt").write_text(CMAKE)
    for archive in archives:
        archive.unlink()


def _fetch(carrier: Carrier, doors: Doors) -> Path:
    files = [
        file
        for file in read_project(carrier.project, doors.settings, doors.network)
        if file.filename.endswith(".tar.gz") and file.version == Version(carrier.version)
    ]
    if not files or files[0].sha256 is None:
        raise Problem(
            f"the index has no sdist of {carrier} with a sha256", exit_code=ExitCode.UNREACHABLE
        )

    def progress(done: int, total: int | None) -> None:
        doors.emit(StepProgress("cutlass", monotonic(), done, total, "bytes"))

    return download(
        files[0].url,
        doors.home.downloads / files[0].filename,
        sha256=files[0].sha256,
        network=doors.network,
        on_progress=progress,
    )
