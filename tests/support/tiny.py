"""The tiny tree, built by the program."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.program import Forge, Running

TREE = Path(__file__).parents[1] / "trees" / "tiny"
PATIENCE = 300.0


@dataclass(frozen=True)
class Tiny:
    """The tiny tree, built in a home of its own."""

    forge: "Forge"
    tree: Path

    @property
    def environment(self) -> Path:
        return next(path for path in (self.forge.home / "envs").iterdir() if path.is_dir())

    @property
    def python(self) -> Path:
        return self.environment / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        return next((self.environment / "lib").glob("python3.*/site-packages"))

    @property
    def extension(self) -> Path:
        return next((self.tree / "vllm").glob("_C*.so"))

    def build(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return self.forge("build", "--vllm", self.tree, *words)

    def start_build(self, *words: str | Path) -> "Running":
        return self.forge.start("build", "--vllm", self.tree, *words)

    def add(self, a: int, b: int) -> subprocess.CompletedProcess[str]:
        """What the built extension says, in the environment, away from the tree."""
        code = f"import torch, vllm._C; print(vllm._C.add({a}, {b}))"
        command = [str(self.python), "-c", code]
        return subprocess.run(
            command, capture_output=True, check=False, cwd="/", text=True, timeout=PATIENCE
        )


def copy_tiny(to: Path) -> Path:
    return Path(shutil.copytree(TREE, to))


@pytest.fixture
def tiny_tree(tmp_path: Path) -> Path:
    """A copy of the tiny tree: builds write into it."""
    return copy_tiny(tmp_path / "tiny")


@pytest.fixture(scope="session")
def make_tiny(make_forge: "Callable[[Path], Forge]") -> Iterator[Callable[[Path], Tiny]]:
    """A copy of the tiny tree and an empty home, below a folder; removed in the end."""
    made: list[tuple[Path, Tiny]] = []

    def make(place: Path) -> Tiny:
        tiny = Tiny(make_forge(place / "home"), copy_tiny(place / "tree"))
        made.append((place, tiny))
        return tiny

    yield make
    for place, tiny in made:
        tiny.forge.expect_nobody()
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, make_tiny: Callable[[Path], Tiny]) -> Tiny:
    """One build of the tiny tree for every test that leaves it whole, or mends it."""
    made = make_tiny(tmp_path_factory.mktemp("tiny"))
    done = made.build()
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="session")
def steps_of() -> Callable[[str], dict[str, str]]:
    """What stderr says of each step: `done`, or the reason it was skipped for."""

    def read(said: str) -> dict[str, str]:
        steps: dict[str, str] = {}
        for line in said.splitlines():
            name, _, rest = line.removeprefix("[").partition("] ")
            if not line.startswith("["):
                continue
            if rest.startswith("done: "):
                steps[name] = "done"
            elif rest.endswith("unchanged since it was done"):
                steps[name] = "unchanged"
            else:
                steps.setdefault(name, "started")
        return steps

    return read
