"""What a release's wheel has for a build to take out of it: its directory and RECORD, no member."""

import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import PurePosixPath
from typing import IO, Final

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.reuse import ReleaseWheel, WheelMember
from vllm_forge.verify.wheel import Wheel, find_requirement, open_wheel

PACKAGE: Final = "vllm"
FETCHED: Final = f"{PACKAGE}/third_party"
"""Where vLLM's CMake installs files of fetched projects (0.20 and later)."""


def parse_release_wheel(file: IO[bytes], filename: str, *, sha256: str) -> ReleaseWheel:
    """Read the end of the wheel; a remote one costs one or two range requests.

    Raises:
        Problem: exit 5 where it is no wheel, or has a member that its RECORD does not know.
    """
    with open_wheel(file, filename) as wheel:
        metadata = wheel.message("METADATA")
        return ReleaseWheel(
            version=str(metadata["Version"]),
            filename=filename,
            sha256=sha256,
            size=file.seek(0, 2),
            requires_torch=find_requirement(metadata.get_all("Requires-Dist", []), "torch"),
            members=tuple(_members(wheel)),
        )


def _members(wheel: Wheel) -> Iterator[WheelMember]:
    """Extensions, and what lies in packages that have one or that a project fills."""
    folders = {str(PurePosixPath(name).parent) for name in wheel.members if is_extension(name)} - {
        PACKAGE,
        ".",
    }
    wanted = (*(f"{folder}/" for folder in folders), f"{FETCHED}/")
    for entry, span in _spans(wheel):
        name = entry.filename
        hidden = any(part.startswith(".") for part in PurePosixPath(name).parts)
        if entry.is_dir() or hidden or not name.startswith(f"{PACKAGE}/"):
            continue
        if not (is_extension(name) or name.startswith(wanted)):
            continue
        if name not in wheel.record:
            raise Problem(
                f"{wheel.name}: its RECORD has no sha256 of {name}", exit_code=ExitCode.BAD_INPUT
            )
        yield WheelMember(
            name=name,
            sha256=wheel.record[name].hex(),
            size=entry.file_size,
            offset=entry.header_offset,
            span=span,
            stored=entry.compress_size,
            method=entry.compress_type,
        )


def is_extension(name: str) -> bool:
    """Whether Python or the loader would load it."""
    return ".so" in PurePosixPath(name).suffixes


def _spans(wheel: Wheel) -> Iterator[tuple[zipfile.ZipInfo, int]]:
    """Each entry, and its bytes up to the next one or to the directory."""
    ends = sorted({*(entry.header_offset for entry in wheel.entries), wheel.directory_offset})
    after = dict(pairwise(ends))
    for entry in wheel.entries:
        yield entry, after.get(entry.header_offset, entry.header_offset) - entry.header_offset
