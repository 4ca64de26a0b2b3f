"""Saves are heard: from the kernel, and at the top of the tree by looking."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vllm_forge.run.watch import Saved, watch_tree

Saves = Iterator[tuple[Saved, ...]]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("CMakeLists.txt", "csrc/cpu/a.cpp", "cmake/utils.cmake", "vllm/b.py", "x/y.cpp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.fixture
def saves(tree: Path) -> Iterator[Saves]:
    made = watch_tree(tree)
    assert next(made) == (), "the first says that the watch began"
    yield made
    made.close()  # type: ignore[attr-defined]


def names(saves: Saves) -> set[str]:
    """The first that are not nothing."""
    return {str(one.path) for one in next(filter(None, saves))}


def test_a_save_is_heard_with_its_time(tree: Path, saves: Saves) -> None:
    before = time.time()
    (tree / "csrc" / "cpu" / "a.cpp").write_text("changed")
    [one] = next(filter(None, saves))
    assert str(one.path) == "csrc/cpu/a.cpp"
    assert before - 0.1 <= one.at <= time.time()


def test_several_are_one_and_what_nobody_reads_is_none(tree: Path, saves: Saves) -> None:
    (tree / "x" / "y.cpp").write_text("outside")
    (tree / "csrc" / "new").mkdir()
    (tree / "csrc" / "cpu" / "a.cpp").write_text("changed")
    (tree / "vllm" / "b.py").unlink()
    assert names(saves) == {"csrc/cpu/a.cpp", "vllm/b.py"}


@pytest.mark.parametrize("how", ["written", "replaced", "removed"])
def test_the_top_is_looked_at(tree: Path, saves: Saves, how: str) -> None:
    top = tree / "CMakeLists.txt"
    if how == "written":
        top.write_text("longer than before")
    elif how == "replaced":
        (tree / "half").write_text("another")
        (tree / "half").replace(top)
    else:
        top.unlink()
    assert names(saves) == {"CMakeLists.txt"}


def test_a_time_that_was_set_is_not_when_it_was_saved(tree: Path, saves: Saves) -> None:
    (tree / "csrc" / "cpu" / "a.cpp").write_text("from an archive")
    os.utime(tree / "csrc" / "cpu" / "a.cpp", (1e9, 1e9))
    [one] = next(filter(None, saves))
    assert one.at > time.time() - 60
