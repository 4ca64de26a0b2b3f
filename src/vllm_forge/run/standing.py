"""Nothing changed: known in a tenth of a second, before anything is parsed, probed or planned.

After a build, what it stood on is kept under the exact command line that asked for it. The same
command line later looks at that alone: the receipts, everything that was compiled from (names,
sizes and times; the content where those differ), and a signature of everything a plan is made from.
Whatever differs, even by accident, leads to the full way, which finds out what.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from vllm_forge import __version__
from vllm_forge.run.files import write_atomically
from vllm_forge.run.receipts import Mark, why_redo_any

HEARD = ("UV_", "PIP_", "CUDA", "VLLM_", "TORCH_", "CC", "CXX", "CMAKE", "HTTP", "http", "SSL_")
"""Beginnings of the environment variables that a plan may depend on."""

FOLDERS = "_SRC_DIR"
"""How those end that name folders of fetched projects (VLLM_CUTLASS_SRC_DIR, FLASH_MLA_SRC_DIR)."""

FACT_FILES = ("pyproject.toml", "setup.py", "requirements", "vllm/_version.py")
"""What a tree's facts are read from, besides its native sources."""

NVIDIA = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True, slots=True)
class Standing:
    """What one command line's build stands on; `document` is its JSON answer for the next time."""

    signature: str
    receipts: str
    marks: tuple[Mark, ...]
    tree: str
    environment: str
    document: str


def standing_file(home: Path, arguments: Sequence[str]) -> Path:
    """Named by the command line and the folder it was given in."""
    said = "\0".join((*arguments, os.getcwd()))  # noqa: PTH109 -- as the shell names it
    return home / "standing" / f"{hashlib.sha256(said.encode()).hexdigest()[:16]}.json"


def keep_standing(path: Path, standing: Standing) -> None:
    write_atomically(path, msgspec.json.encode(standing))


def read_standing(
    path: Path, arguments: Sequence[str], environ: Mapping[str, str]
) -> Standing | None:
    """The standing, if everything it stands on is as it was; None in every other case."""
    try:
        standing = msgspec.json.decode(path.read_bytes(), type=Standing)
        if standing.signature != sign(standing.tree, arguments, environ):
            return None
        if why_redo_any(standing.marks, Path(standing.receipts)) is not None:
            return None
    except (OSError, msgspec.DecodeError):
        return None
    return standing


def sign(tree: str, arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """A digest of what a plan is made from, by names, sizes and times; nothing is run.

    A word of the command line that names a file (a lock) stands for that file.
    """
    digest = hashlib.sha256(__version__.encode())
    for name in sorted(environ):
        if name == "PATH" or name.startswith(HEARD) or name.endswith(FOLDERS):
            digest.update(f"{name}={environ[name]}\0".encode())
    places = [Path(folder) for folder in environ.get("PATH", os.defpath).split(os.pathsep)]
    ours = sorted(Path(__file__).parent.parent.rglob("*.py"))
    named = [Path(word) for word in arguments if not word.startswith("-")]
    for path in (*named, *places, NVIDIA, *ours, *_fact_files(Path(tree))):
        try:
            stat = path.stat()
        except OSError:
            digest.update(f"{path}: none\0".encode())
            continue
        digest.update(f"{path}: {stat.st_size} {stat.st_mtime_ns}\0".encode())
    return digest.hexdigest()


def _fact_files(tree: Path) -> Iterable[Path]:
    for name in FACT_FILES:
        path = tree / name
        yield path
        if path.is_dir():
            yield from sorted(path.rglob("*.txt"))
