"""A plan with everything pinned: what `plan --lock` writes and `build --locked` holds to."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class LockedSource:
    """`sha256` is the sdist's, or the content digest of a tree's native sources; `ref` a commit."""

    origin: Literal["sdist", "tree", "git"]
    version: str
    sha256: str | None = None
    url: str | None = None
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class LockedProject:
    name: str
    url: str
    revision: str


@dataclass(frozen=True, slots=True)
class LockedWheel:
    """The release wheel that `targets` are taken out of; `sha256` is the whole wheel's, hex."""

    filename: str
    sha256: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lock:
    """`packages` is a requirements file with hashes, torch and all that it brings included.

    `definitions` and `variables` are the flags CMake is given, without the folders of one machine.
    `toolkit` and `compiler` are versions, None where nothing is compiled. `left_out` has, for each
    target of a build for one checkpoint, the files that are not compiled.
    """

    schema: Annotated[int, Meta(ge=SCHEMA, le=SCHEMA)]
    forge: str
    device: Literal["cpu", "cuda"]
    source: LockedSource
    python: str
    torch: str
    toolkit: str | None
    compiler: str | None
    gpu_arch: tuple[str, ...]
    isa: str | None
    targets: tuple[str, ...]
    projects: tuple[LockedProject, ...]
    definitions: dict[str, str]
    variables: dict[str, str]
    packages: str
    wheel: LockedWheel | None = None
    left_out: dict[str, tuple[str, ...]] = field(default_factory=dict)
