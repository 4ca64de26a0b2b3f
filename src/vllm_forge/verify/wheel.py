"""What a wheel holds, read member by member: a local file, or a remote one in ranges."""

import base64
import csv
import difflib
import hashlib
import io
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from email.parser import BytesParser
from pathlib import Path, PurePath
from typing import IO, Final

from packaging.requirements import InvalidRequirement, Requirement

from vllm_forge.records.binary import BinaryFacts, WheelFacts
from vllm_forge.records.doors import ReadUrl
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.range_file import RangeFile
from vllm_forge.verify.binary import parse_binary
from vllm_forge.verify.elf_file import open_file

CHUNK: Final = 8 << 20
"""Bytes asked for at once: a member of a remote wheel takes one request for each."""
IN_MEMORY: Final = 64 << 20
"""Larger members are unpacked into an unnamed temporary file while they are looked at."""


def read_wheel(path: Path) -> WheelFacts:
    """Facts of a wheel on disk.

    Raises:
        Problem: exit 5, when it is not there or no wheel.
    """
    with open_file(path) as file:
        return parse_wheel(file, path.name)


def read_remote_wheel(url: str, size: int, read_url: ReadUrl) -> WheelFacts:
    """Facts of a wheel on an index; the extensions are fetched, nothing else.

    Raises:
        Problem: exit 4 when it cannot be reached, 5 when it is no wheel.
    """
    return parse_wheel(open_remote(url, size, read_url), PurePath(url).name)


def open_remote(url: str, size: int, read_url: ReadUrl) -> IO[bytes]:
    """A file of `size` bytes on a server that answers range requests."""
    raw = RangeFile(lambda start, stop: read_url(url, start=start, stop=stop), size)
    return io.BufferedReader(raw)


def parse_wheel(file: IO[bytes], name: str) -> WheelFacts:
    """As `read_wheel`; `name` is the wheel's file name."""
    with open_wheel(file, name) as wheel:
        metadata = wheel.message("METADATA")
        return WheelFacts(
            name=str(metadata["Name"]),
            version=str(metadata["Version"]),
            tags=tuple(wheel.message("WHEEL").get_all("Tag", [])),
            requires_torch=find_requirement(metadata.get_all("Requires-Dist", []), "torch"),
            extensions=tuple(inspect_member(wheel, member) for member in find_extensions(wheel)),
        )


class Wheel:
    """An open wheel; `name` is its file name, for messages.

    `entries` are zip's own, in the order of its directory, which begins at `directory_offset`.
    """

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self.name = name
        self.members: Final = tuple(archive.namelist())
        self.entries: Final = tuple(archive.infolist())
        self.directory_offset: Final = archive.start_dir
        self._archive = archive
        self._record: dict[str, bytes] | None = None

    def copy(self, member: str, output: IO[bytes]) -> str:
        """Unpack one member and return its sha256, hex; it is held against RECORD.

        Raises:
            Problem: exit 5, when there is no such member (the nearest are named), or it is not what
                RECORD says.
        """
        if member not in self.members:
            near = difflib.get_close_matches(member, self.members, n=3, cutoff=0.4)
            raise Problem(
                f"{self.name} has no {member}",
                causes=tuple(f"it has {one}" for one in near),
                exit_code=ExitCode.BAD_INPUT,
            )
        digest = hashlib.sha256()
        with self._archive.open(member) as source:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                output.write(chunk)
        recorded = self.record.get(member)
        if recorded is not None and recorded != digest.digest():
            raise Problem(
                f"{self.name}: {member} is not what the wheel's RECORD says",
                causes=(f"sha256 {digest.hexdigest()}, RECORD has {recorded.hex()}",),
                exit_code=ExitCode.BAD_INPUT,
            )
        return digest.hexdigest()

    @property
    def record(self) -> dict[str, bytes]:
        """Member → sha256, from RECORD (PyPA, "Recording installed projects"); read once."""
        if self._record is None:
            text = self._archive.read(self.metadata_file("RECORD")).decode()
            self._record = dict(parse_record(text))
        return self._record

    def message(self, file: str) -> Message:
        """METADATA or WHEEL."""
        return BytesParser().parsebytes(
            self._archive.read(self.metadata_file(file)), headersonly=True
        )

    def metadata_file(self, file: str) -> str:
        """The member `NAME.dist-info/FILE`."""
        for member in self.members:
            folder, _, name = member.partition("/")
            if folder.endswith(".dist-info") and name == file:
                return member
        raise Problem(f"{self.name} has no {file}: it is no wheel", exit_code=ExitCode.BAD_INPUT)


@contextmanager
def open_wheel(file: IO[bytes], name: str) -> Iterator[Wheel]:
    """The wheel in `file`; whatever damage shows while it is read comes back as a Problem."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield Wheel(archive, name)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise Problem(
            f"{name} is not a readable wheel", causes=(str(error),), exit_code=ExitCode.BAD_INPUT
        ) from error


def find_extensions(wheel: Wheel) -> list[str]:
    """Members that Python or the loader would load, in the order of their names."""
    return sorted(name for name in wheel.members if ".so" in PurePath(name).suffixes)


def inspect_member(wheel: Wheel, member: str) -> BinaryFacts:
    """Facts of one extension."""
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as unpacked:
        wheel.copy(member, unpacked)
        return parse_binary(unpacked, member)


def parse_record(text: str) -> Iterator[tuple[str, bytes]]:
    """Lines `PATH,sha256=DIGEST,SIZE`; those without a digest (RECORD itself) are left out."""
    for row in csv.reader(text.splitlines()):
        if len(row) == 3 and row[1].startswith("sha256="):  # noqa: PLR2004 -- three columns
            encoded = row[1].removeprefix("sha256=")
            yield row[0], base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))


def find_requirement(lines: list[str], project: str) -> str | None:
    """The requirement of one project without an extra, without its marker."""
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.name == project and "extra" not in str(requirement.marker or ""):
            return f"{requirement.name}{requirement.specifier}"
    return None
