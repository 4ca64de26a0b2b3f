"""What a release has published as a wheel, and how a tree differs from that release."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from vllm_forge.records.release import Configured
from vllm_forge.records.sourced import Sourced


@dataclass(frozen=True, slots=True)
class WheelMember:
    """One file of a wheel; `name` is its path in it, and below the folder it is installed into.

    `sha256` is hex, as the wheel's RECORD says it. The file's entry lies at `offset` and takes
    `span` bytes of the wheel; its content, `size` bytes, is `stored` bytes there, packed by
    `method` (PKWARE's APPNOTE, 4.4.5: 0 not at all, 8 deflate).
    """

    name: str
    sha256: str
    size: int
    offset: int
    span: int
    stored: int
    method: int


@dataclass(frozen=True, slots=True)
class ReleaseWheel:
    """A release's wheel on the index, as its name, its directory and its METADATA tell.

    `version` is the release's; `sha256` the whole file's, hex, as the index says. `requires_torch`
    is the wheel's own requirement (`torch==2.7.1`). `members` are those below `vllm/` that a build
    makes or fetches: extensions, and what lies in the packages that have one.
    """

    version: str
    filename: str
    sha256: str
    size: int
    requires_torch: str | None
    members: tuple[WheelMember, ...]
    kept: frozenset[str] = frozenset()
    """Members that were taken out before and are here; they need no network."""


class ReadPublished(Protocol):
    """The wheel of the release that a tree of `version` is, or stems from.

    It asks the index where it has not before; unknown, with the reason, where there is no such
    wheel for this machine or the index cannot be asked.
    """

    def __call__(self, version: str) -> Sourced[ReleaseWheel]: ...


class ReadEdits(Protocol):
    """Target → the files that can reach it and differ from the published sdist of `release`.

    A target without such a file is not named. Unknown, with the reason, where the sdist cannot be
    had.
    """

    def __call__(
        self, configured: Configured, release: str
    ) -> Sourced[Mapping[str, tuple[str, ...]]]: ...


@dataclass(frozen=True, slots=True)
class Reused:
    """What of a wheel takes the place of a compile: target → its files, the extension first."""

    wheel: ReleaseWheel
    members: Mapping[str, tuple[WheelMember, ...]]
