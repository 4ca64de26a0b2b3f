"""Which CUTLASS a folder holds: by the version it says, and by the content of its headers.

The version alone proves little: flashinfer-python 0.2.11 carries headers that say 4.0.0, and 106 of
them differ from the tag v4.0.0.
"""

import hashlib
import re
from pathlib import Path
from typing import Final

CMAKE: Final = """\
# vllm-forge: the three variables of CUTLASS's own CMakeLists.txt that vLLM's reads.
set(CUTLASS_DIR ${CMAKE_CURRENT_SOURCE_DIR} CACHE PATH "CUTLASS Repository Directory")
set(CUTLASS_INCLUDE_DIR ${CMAKE_CURRENT_SOURCE_DIR}/include CACHE PATH "CUTLASS Header Library")
set(CUTLASS_TOOLS_UTIL_INCLUDE_DIR ${CMAKE_CURRENT_SOURCE_DIR}/tools/util/include
    CACHE INTERNAL "")
"""
"""For a copy without CUTLASS's own CMakeLists.txt: without it the headers are not found."""

HEADER: Final = "include/cutlass/version.h"
NUMBER: Final = re.compile(r"^#define CUTLASS_(MAJOR|MINOR|PATCH) (\d+)", re.MULTILINE)
HEADER_FOLDERS: Final = ("include", "tools/util/include")

TAGS: Final = {
    "3.8.0": "4b403ad8d34096e87ff96205c87deb554f042cd94ccdde5048316f851a6d4c51",
    "3.9.0": "519766bc2a9add0b25a63009b766b7168d56c203893aebae8a05acb12b2acd3e",
    "3.9.2": "25ed45c8681d63b23c8a6f8183533aa1351032a5e287ec7622812aaf2ffd6712",
    "4.0.0": "6161dd7e6e5bd4484219a26a8975f4263f13f7dab3e5e7ac54c1cb3764012282",
    "4.2.1": "2104d74f2ea0d09545645a0afab3c8ae8580ad1722de8a52f44f6c1668662bed",
    "4.4.2": "d738bdf487bc3a0a71c91bd9970ad45046509ecc3506c1bcab81b9f396c8df4b",
}
"""`headers_digest` of NVIDIA/cutlass at vVERSION, of the versions that vLLM 0.8 to 0.29 pin."""


def parse_cutlass_version(header: str) -> str | None:
    r"""MAJOR.MINOR.PATCH of include/cutlass/version.h.

    >>> numbers = {"MAJOR": 4, "MINOR": 0, "PATCH": 0}
    >>> lines = [f"#define CUTLASS_{name} {number}" for name, number in numbers.items()]
    >>> parse_cutlass_version("\n".join(lines))
    '4.0.0'
    """
    found = dict(NUMBER.findall(header))
    if len(found) != len(("MAJOR", "MINOR", "PATCH")):
        return None
    return f"{found['MAJOR']}.{found['MINOR']}.{found['PATCH']}"


def read_cutlass_version(folder: Path) -> str | None:
    """None where the header is missing or says nothing."""
    try:
        return parse_cutlass_version((folder / HEADER).read_text(errors="replace"))
    except OSError:
        return None


def headers_digest(folder: Path) -> str:
    """Sha256 over name and sha256 of every header, in the order of names (about 0.1 s)."""
    digest = hashlib.sha256()
    files = {
        str(path.relative_to(folder)): path
        for inner in HEADER_FOLDERS
        for path in (folder / inner).rglob("*")
        if path.is_file()
    }
    for name in sorted(files):
        content = hashlib.sha256(files[name].read_bytes()).hexdigest()
        digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()


def is_tag(folder: Path, version: str) -> bool | None:
    """Whether the headers are the tag's, byte for byte; None for a version that TAGS has not."""
    known = TAGS.get(version)
    return None if known is None else headers_digest(folder) == known
