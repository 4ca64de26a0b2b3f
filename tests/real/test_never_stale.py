"""Every wanted rebuild happens, and no other one, in every cache mode.

After each change the tree is built the way `vllm-forge build` does. What was written is held
against what had to be, and every object against its inputs (tree.py). To add a mode: MODES.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vllm_forge.records.problem import Problem

if TYPE_CHECKING:
    from tests.support.stale import Tree

pytestmark = pytest.mark.compile

LONG = pytest.mark.acceptance
"""make acceptance runs these too: the time of `make test` is limited."""

MODES = (None, "ccache", pytest.param("sccache", marks=LONG))
SETTLE_SECONDS = 0.05
"""Between an edit and what came before it: a file system's clock is a coarse one."""


@pytest.fixture(params=MODES, ids=str)
def tree(
    request: pytest.FixtureRequest, tmp_path: Path, make_stale_tree: "Callable[..., Tree]"
) -> "Tree":
    return make_stale_tree(tmp_path, request.param, tmp_path / "home")


def settle() -> None:
    time.sleep(SETTLE_SECONDS)


def everything(tree: "Tree") -> set[str]:
    return set(tree.inputs())


def test_edits_and_their_reverts(tree: "Tree") -> None:
    assert tree.build() == everything(tree)
    assert tree.build() == set()
    for name in ("csrc/host.h", "csrc/second.h", "csrc/inner/inner.h"):
        settle()
        tree.replace(name, " 1", " 2")
        assert tree.build() == {"csrc/many.cpp"}, name
        settle()
        tree.replace(name, " 2", " 1")
        assert tree.build() == {"csrc/many.cpp"}, name
    tree.replace("csrc/plain.EXT", "FLAG *", "3 + FLAG *")
    assert tree.build() == {"csrc/plain.cpp"}
    tree.write("csrc/unread.h", "#define UNREAD\n")
    assert tree.build() == set()
    tree.write("vllm/__init__.py", "one = 1\n")
    assert tree.unchanged


def test_what_lies_elsewhere(tree: "Tree") -> None:
    """The user's project folder, torch swapped in place, the compilers swapped in place."""
    tree.build()
    settle()
    (tree.part / "include" / "part.h").write_text("#define PART 2\n")
    assert not tree.unchanged
    assert tree.build() == {"csrc/many.cpp"}
    tree.put(tree.torch / "include" / "torch" / "all.h", "#define TORCH 200\n")
    assert not tree.unchanged
    assert tree.build() == {"csrc/bind.cpp"}
    tree.wrap(2)
    assert not tree.unchanged
    assert tree.build() == everything(tree)
    tree.wrap(1)
    assert tree.build() == everything(tree)


def test_generated_kernels(tree: "Tree") -> None:
    """By the generator's template too, of which CMake and ninja know nothing."""
    tree.build()
    kernels = {"csrc/gen/kernel_a.cpp", "csrc/gen/kernel_b.cpp"}
    settle()
    tree.replace("csrc/gen/kernel.jinja", "return 1", "return 2")
    assert tree.build() == kernels
    settle()
    tree.replace("csrc/gen/generate_kernels.py", "here = ", "# a comment\nhere = ")
    assert tree.build() == set(), "they are written anew, with what they held before"
    tree.replace("csrc/gen/generate_kernels.py", '"b"]', '"b", "c"]')
    assert tree.build() == {"csrc/gen/kernel_c.cpp"}
    settle()
    tree.path("csrc/gen/kernel_b.EXT").unlink()
    assert tree.build() == set(), "it is generated again, and its object stands"


def test_flags_and_variables(tree: "Tree", monkeypatch: pytest.MonkeyPatch) -> None:
    tree.build()
    tree.replace("cmake/flags.cmake", "FLAG=1", "FLAG=2")
    assert tree.build() == {"csrc/plain.cpp"}
    (tree.base / "more").mkdir()
    monkeypatch.setenv("CPATH", str(tree.base / "more"))
    assert not tree.unchanged
    assert {"csrc/plain.cpp", "csrc/many.cpp"} <= _rebuilt_by_variable(tree)


def _rebuilt_by_variable(tree: "Tree") -> set[str]:
    tree.known.clear()  # an empty folder more changes no object
    return tree.build()


def test_touched_is_not_changed(tree: "Tree") -> None:
    tree.build()
    settle()
    tree.touch(tree.tree)
    assert tree.unchanged
    assert tree.build() == set()
    settle()
    tree.touch(tree.tree)
    tree.replace("csrc/plain.EXT", "FLAG *", "4 + FLAG *")
    assert tree.build() == {"csrc/plain.cpp"}
    settle()
    tree.touch(tree.tree, tree.torch, tree.part)
    assert tree.build() == set()
    another = tree.base / "another.h"
    another.hardlink_to(tree.torch / "include" / "torch" / "all.h")  # as uv makes environments
    assert tree.unchanged


def test_old_times(tree: "Tree") -> None:
    """What cp -p, rsync -t and tar leave: ninja takes the objects for fresh."""
    tree.build()
    header = tree.path("csrc/host.h")
    tree.put(header, "#define HOST 5\n")
    assert tree.build() == {"csrc/many.cpp"}
    os.utime(header, (1, 1))
    assert tree.build() == set()
    tree.put(header, "#define HOST 6\n")
    assert tree.build() == {"csrc/many.cpp"}


def test_a_build_that_failed_leaves_nothing_stale(tree: "Tree") -> None:
    tree.build()
    header, old = tree.path("csrc/host.h"), tree.path("csrc/host.h").stat()
    header.write_text("#define HOST 7\n")
    tree.replace("csrc/bind.cpp", "int bind", "no int bind")
    with pytest.raises(Problem, match="the compile failed"):
        tree.build()
    header.write_text("#define HOST 1\n")
    os.utime(header, ns=(old.st_atime_ns, old.st_mtime_ns))
    settle()
    tree.replace("csrc/bind.cpp", "no int bind", "int bind")
    assert tree.build() <= {"csrc/many.cpp"}


def test_a_header_that_comes_first(tree: "Tree") -> None:
    tree.build()
    tree.write("csrc/inner.h", "#define INNER 9\n")
    assert tree.build() == {"csrc/many.cpp"}
    tree.path("csrc/inner.h").unlink()
    assert tree.build() == {"csrc/many.cpp"}


CUDA_MODES = ("ccache", pytest.param(None, marks=LONG), pytest.param("sccache", marks=LONG))


@pytest.mark.parametrize("mode", CUDA_MODES, ids=str)
def test_with_nvcc(
    mode: str | None, tmp_path: Path, nvcc: Path, make_stale_tree: "Callable[..., Tree]"
) -> None:
    """Headers that only the host pass, or only the second architecture, sees; a swapped nvcc."""
    tree = make_stale_tree(tmp_path, mode, tmp_path / "home", nvcc)
    kernels = {"csrc/gen/kernel_a.cu", "csrc/gen/kernel_b.cu"}
    assert tree.build() == everything(tree)
    changes: list[tuple[Callable[[], None], set[str]]] = [
        (lambda: tree.replace("csrc/host.h", " 1", " 2"), {"csrc/many.cu"}),
        (lambda: tree.put(tree.path("csrc/second.h"), "#define SECOND 2\n"), {"csrc/many.cu"}),
        (lambda: tree.replace("csrc/host.h", " 2", " 1"), {"csrc/many.cu"}),
        (lambda: tree.replace("csrc/gen/kernel.jinja", "return 1", "return 2"), kernels),
        (lambda: tree.put(tree.part / "include" / "part.h", "#define PART 3\n"), {"csrc/many.cu"}),
        (lambda: tree.touch(tree.tree, tree.part), set()),
    ]
    for number, (change, wanted) in enumerate(changes):
        settle()
        change()
        assert tree.build() == wanted, f"change {number}"
    tree.wrap(2)
    assert tree.build() == everything(tree)
