"""Where everything lies: one folder with one room for each kind of thing."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """Folders below the home; `key` names one environment and everything made for it."""

    path: Path

    @property
    def downloads(self) -> Path:
        return self.path / "downloads"

    @property
    def costs(self) -> Path:
        """What each source file took to compile here: seconds and memory, learned."""
        return self.path / "compile-memory.json"

    @property
    def launcher(self) -> Path:
        """Stands in front of every compiler; one for the home."""
        return self.path / "launcher" / "forge-launch"

    @property
    def caches(self) -> Path:
        """Compiler caches, and what was proven of them."""
        return self.path / "caches"

    @property
    def store(self) -> Path:
        """Compiled extensions, by what they were made from."""
        return self.path / "store"

    @property
    def digests(self) -> Path:
        """Digests of large files that are asked for at every build: compilers, toolkits."""
        return self.path / "digests.json"

    @property
    def last(self) -> Path:
        """Names the environment that was built last."""
        return self.path / "last-environment"

    @property
    def sources(self) -> Path:
        """Unpacked trees, and fetched projects."""
        return self.path / "sources"

    @property
    def wheels(self) -> Path:
        """What release wheels hold, and what was taken out of them."""
        return self.path / "wheels"

    def source(self, key: str) -> Path:
        return self.sources / key

    def environment(self, key: str) -> Path:
        return self.path / "envs" / key

    def build(self, key: str) -> Path:
        return self.path / "builds" / key

    def cmake(self, key: str) -> Path:
        """CMake packages of our own; beside the build folder, which may be cleared."""
        return self.path / "cmake" / key

    @property
    def system(self) -> Path:
        """The distribution's packages, unpacked: a folder for each set of them."""
        return self.path / "system"

    def receipts(self, key: str) -> Path:
        return self.path / "receipts" / key

    def logs(self, key: str) -> Path:
        return self.path / "logs" / key

    def lock(self, key: str) -> Path:
        return self.path / "locks" / f"{key}.lock"
