"""A toolkit the forge makes: what it is made from, and what its folder says of itself."""

from dataclasses import dataclass

from vllm_forge.records.machine import Toolkit


@dataclass(frozen=True, slots=True)
class Archive:
    """One file that a toolkit is unpacked from. `size` in bytes, None where nobody says."""

    name: str
    url: str
    sha256: str
    size: int | None


@dataclass(frozen=True, slots=True)
class Offer:
    """A toolkit that a provider can make.

    `nvcc` is the compiler's version, as 12.4.131. `unpacked_bytes` is what the prefix will take,
    an estimate to hold the disk to. `origin` says where it comes from, for people.
    """

    provider: str
    nvcc: str
    archives: tuple[Archive, ...]
    unpacked_bytes: int
    origin: str

    @property
    def name(self) -> str:
        """The folder's name."""
        return f"cuda-{self.nvcc}-{self.provider}"

    @property
    def download_bytes(self) -> int:
        return sum(archive.size or 0 for archive in self.archives)


@dataclass(frozen=True, slots=True)
class OfferedToolkit:
    """A toolkit that is not here and can be made without root; `toolkit.path` is where it will lie.

    `origin` says for people what it is made from, `download_bytes` how much is fetched.
    """

    toolkit: Toolkit
    provider: str
    origin: str
    download_bytes: int


@dataclass(frozen=True, slots=True)
class ToolkitReceipt:
    """What a made toolkit's folder holds as forge-toolkit.json.

    `bytes` and `files` count what was unpacked. `finished` is ISO 8601 in UTC.
    """

    schema: int
    provider: str
    nvcc: str
    origin: str
    archives: tuple[Archive, ...]
    files: int
    bytes: int
    seconds: float
    finished: str


@dataclass(frozen=True, slots=True)
class ListedToolkit:
    """One toolkit of this machine. `missing` are the parts a vLLM build needs and it has not.

    `provider` is `system` for one that the forge did not make.
    """

    version: str
    path: str
    provider: str
    missing: tuple[str, ...]
    nvcc: str | None = None
    bytes: int | None = None
