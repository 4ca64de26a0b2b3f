"""Which names a torch has, from the headers in its wheel or its installed folder."""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.range_file import RangeFile

WORD: Final = re.compile(rb"[A-Za-z_]\w*")
HEADER: Final = re.compile(r"torch/include/((?:ATen|c10|torch)/.+\.(?:h|cuh|hpp))")


@dataclass(frozen=True, slots=True)
class TorchNames:
    """Every identifier in the headers of ATen, c10 and torch, and the headers' own paths.

    An identifier in a comment counts as present: a name is called missing only when it is nowhere.
    """

    identifiers: frozenset[str]
    headers: frozenset[str]

    def has(self, name: str) -> bool:
        """`at::ScalarType::Half`: each part after the first; `<ATen/ATen.h>`: the file."""
        if name.startswith("<"):
            return name.strip("<>") in self.headers
        return all(part in self.identifiers for part in name.split("::")[1:])


def read_wheel_names(wheel: IO[bytes] | RangeFile, *, origin: str) -> TorchNames:
    """From a wheel that is open for reading: a file, or ranges of a remote one (RangeFile).

    About 9,000 headers, 6 MB compressed, which lie together: ten requests of a megabyte.

    Raises:
        Problem: exit 5 naming `origin`, when it is no wheel or holds no torch headers.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [
                (match[1], member)
                for member in archive.infolist()
                if (match := HEADER.fullmatch(member.filename))
            ]
            members.sort(key=lambda found: found[1].header_offset)
            return collect(((path, archive.read(member)) for path, member in members), origin)
    except zipfile.BadZipFile as error:
        raise Problem(f"{origin} is not a wheel: {error}", exit_code=ExitCode.BAD_INPUT) from error


def read_installed_names(site_packages: Path) -> TorchNames:
    """From an installed torch: `site_packages/torch/include`."""
    include = site_packages / "torch" / "include"
    files = [
        (match[1], file)
        for file in sorted(include.rglob("*"))
        if (match := HEADER.fullmatch(f"torch/include/{file.relative_to(include).as_posix()}"))
    ]
    return collect(((path, file.read_bytes()) for path, file in files), str(include))


def collect(headers: Iterator[tuple[str, bytes]], origin: str) -> TorchNames:
    words: set[bytes] = set()
    paths: list[str] = []
    for path, text in headers:
        words.update(WORD.findall(text))
        paths.append(path)
    if not paths:
        raise Problem(f"{origin} holds no torch headers", exit_code=ExitCode.BAD_INPUT)
    return TorchNames(
        frozenset(word.decode("ascii", "replace") for word in words), frozenset(paths)
    )
