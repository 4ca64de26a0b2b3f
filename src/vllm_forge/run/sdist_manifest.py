"""What the published sdist of a release holds, file by file: fetched once, remembered for good."""

import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated

from msgspec import Meta

from vllm_forge.records.codec import parse_json, render_json
from vllm_forge.records.home import Home
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.doors import Doors
from vllm_forge.run.download import download
from vllm_forge.run.files import write_atomically
from vllm_forge.run.source import find_sdist

Sha256 = Annotated[str, Meta(min_length=64, max_length=64)]


@dataclass(frozen=True, slots=True)
class Manifest:
    """Paths are relative to the tree: `files` are all with their sha256, hex, `cmake` the texts of
    those in CMake's language.
    """  # noqa: D205 -- one sentence

    files: dict[str, Sha256]
    cmake: dict[str, str]


def read_manifest(version: str, doors: Doors) -> Manifest:
    """Every file of the sdist of vLLM `version`.

    Raises:
        Problem: exit 2 or 4 where the index has none, or cannot be asked and never was.
    """
    memory = manifest_of(version, doors.home)
    try:
        return parse_json(memory.read_bytes(), Manifest, origin=str(memory))
    except (OSError, Problem):
        pass
    file = find_sdist(version, doors.settings, doors.network)
    if file.sha256 is None:
        raise Problem(
            f"the index gives no sha256 for {file.filename}", exit_code=ExitCode.UNREACHABLE
        )
    archive = download(
        file.url,
        doors.home.downloads / file.filename,
        sha256=file.sha256,
        network=doors.network,
    )
    manifest = Manifest({}, {})
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                opened = tar.extractfile(member) if member.isfile() else None
                if opened is not None:
                    name, content = member.name.partition("/")[2], opened.read()
                    manifest.files[name] = hashlib.sha256(content).hexdigest()
                    if is_cmake(name):
                        manifest.cmake[name] = content.decode(errors="replace")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise Problem(
            f"{archive.name} is damaged: {error}",
            hints=(f"delete {archive} and run again",),
            exit_code=ExitCode.BAD_INPUT,
        ) from error
    write_atomically(memory, render_json(manifest))
    return manifest


def manifest_of(version: str, home: Home) -> Path:
    """Where the sdist's files are remembered."""
    return home.path / "published" / f"vllm-{version}.json"


def is_cmake(name: str) -> bool:
    """Whether a file is in CMake's language."""
    path = PurePosixPath(name)
    return path.name == "CMakeLists.txt" or path.suffix == ".cmake"
