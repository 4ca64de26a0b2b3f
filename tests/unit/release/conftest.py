"""Small trees of our own in vLLM's forms, kept as one text each: `==== PATH` starts a file."""

from collections.abc import Callable
from pathlib import Path

import pytest

TREES = Path(__file__).parent / "trees"
MARK = "==== "


def unpack(name: str, into: Path) -> Path:
    """Write the files of `trees/NAME.txt` below `into`."""
    file: Path | None = None
    for line in (TREES / f"{name}.txt").read_text().splitlines(keepends=True):
        if line.startswith(MARK):
            file = into / line.removeprefix(MARK).strip()
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        elif file is not None:
            with file.open("a") as opened:
                opened.write(line)
    return into


@pytest.fixture(scope="session")
def early(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The forms of 0.8: a list of methods, nested configs only, architectures for any nvcc."""
    return unpack("early", tmp_path_factory.mktemp("early"))


@pytest.fixture(scope="session")
def late(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The forms of 0.33: Literal, family architectures, FATAL_ERROR, requirements/build/."""
    return unpack("late", tmp_path_factory.mktemp("late"))


@pytest.fixture
def own_tree(tmp_path: Path) -> Callable[[str], Path]:
    """A tree by name that the test may damage."""
    return lambda name: unpack(name, tmp_path / name)
