"""The mutation suite's changes with the artifact store: nothing stale or made twice."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vllm_forge.run.store.folder import FolderLayer
from vllm_forge.run.store.store import Store

if TYPE_CHECKING:
    from tests.support.stale import Tree

pytestmark = pytest.mark.compile

MakeTree = Callable[..., "Tree"]
Change = tuple[str, Callable[["Tree"], None], str]

EDITS: tuple[Change, ...] = (
    ("the host pass's header", lambda one: one.replace("csrc/host.h", " 1", " 2"), "compiled"),
    ("its revert", lambda one: one.replace("csrc/host.h", " 2", " 1"), "store"),
    (
        "the second architecture's header, under its old time",
        lambda one: one.put(one.path("csrc/second.h"), "#define SECOND 2\n"),
        "compiled",
    ),
    ("a project", lambda one: one.put(part_of(one), "#define PART 3\n"), "compiled"),
    ("the project's revert", lambda one: one.put(part_of(one), "#define PART 1\n"), "store"),
    (
        "a generator's template",
        lambda one: one.replace("csrc/gen/kernel.jinja", "return 1", "return 2"),
        "compiled",
    ),
    ("flags", lambda one: one.replace("cmake/flags.cmake", "FLAG=1", "FLAG=2"), "compiled"),
    (
        "the flags' revert",
        lambda one: one.replace("cmake/flags.cmake", "FLAG=2", "FLAG=1"),
        "store",
    ),
    (
        "a header that comes first",
        lambda one: one.write("csrc/inner.h", "#define INNER 9\n"),
        "compiled",
    ),
    ("without it", lambda one: one.path("csrc/inner.h").unlink(), "store"),
    ("torch, in place", lambda one: one.put(torch_of(one), "#define TORCH 200\n"), "compiled"),
    ("other compilers in their place", lambda one: one.wrap(2), "compiled"),
    ("the first compilers again", lambda one: one.wrap(1), "store"),
    ("touched files", lambda one: one.touch(one.tree, one.part), "unchanged"),
    ("a header nothing reads", lambda one: one.write("csrc/unread.h", "#define UNREAD\n"), "store"),
    ("Python alone", lambda one: one.write("vllm/__init__.py", "one = 1\n"), "unchanged"),
)


def part_of(tree: "Tree") -> Path:
    return tree.part / "include" / "part.h"


def torch_of(tree: "Tree") -> Path:
    return tree.torch / "include" / "torch" / "all.h"


def change_all(tree: "Tree") -> None:
    assert tree.build_with_store() == "compiled"
    for name, change, wanted in EDITS:
        change(tree)
        assert tree.build_with_store() == wanted, name


def test_every_change_and_its_revert(tmp_path: Path, make_stale_tree: MakeTree) -> None:
    """A second checkout then goes through the same states, and compiles none of them."""
    shared = Store((FolderLayer(tmp_path / "store"),))
    first = make_stale_tree(tmp_path / "first", None, tmp_path / "home", store=shared)
    change_all(first)
    second = make_stale_tree(
        tmp_path / "second", None, tmp_path / "home2", store=shared, known=first.known
    )
    assert second.build_with_store() == "store"
    for name, change, wanted in EDITS:
        change(second)
        assert second.build_with_store() == wanted.replace("compiled", "store"), name
    assert second.objects() == {}


def test_every_change_with_nvcc(tmp_path: Path, nvcc: Path, make_stale_tree: MakeTree) -> None:
    shared = Store((FolderLayer(tmp_path / "store"),))
    change_all(make_stale_tree(tmp_path / "first", None, tmp_path / "home", nvcc, store=shared))
