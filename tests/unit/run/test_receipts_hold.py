"""Whether what a receipt says is still so."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from vllm_forge.records.receipt import Receipt
from vllm_forge.run.inputs import read_inputs, read_stat_digest
from vllm_forge.run.receipts import (
    SOURCES_WRITTEN,
    Mark,
    made,
    read_receipt,
    why_redo,
    why_redo_any,
    write_receipt,
)

MARK = Mark("compile", "abc")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Native sources, and files that are none."""
    tree = tmp_path / "tree"
    for name in ("CMakeLists.txt", "cmake/utils.cmake", "csrc/cpu/a.cpp", "vllm/b.py", "x.cpp"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)
    return tree


@pytest.fixture
def thing(tmp_path: Path) -> Path:
    path = tmp_path / "_C.so"
    path.write_bytes(b"binary")
    return path


def receipt(*paths: Path, hashed: bool = False, **facts: str) -> Receipt:
    things = tuple(made(path, hashed=hashed) for path in paths)
    return Receipt("compile", "abc", things, 1.5, "2026-01-01T00:00:00+00:00", dict(facts))


def later(path: Path) -> None:
    """As if written a second later."""
    at = path.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(at, at))


def test_it_comes_back_as_it_was(tmp_path: Path, thing: Path) -> None:
    kept = replace(receipt(thing, hashed=True, torch="2.6.0"), cpu_seconds=3.0, peak_bytes=10)
    write_receipt(tmp_path / "receipts", kept)
    assert read_receipt(tmp_path / "receipts", "compile") == kept


@pytest.mark.parametrize("garbage", [b"", b"\0\0", b"{", b"[]", b"{}", b"\xff", b'{"step": 1}'])
def test_garbage_is_no_receipt(tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / "compile.json").write_bytes(garbage)
    assert read_receipt(tmp_path, "compile") is None
    assert read_receipt(tmp_path, "never") is None


def test_what_holds(thing: Path, tmp_path: Path) -> None:
    assert why_redo(MARK, receipt(thing, tmp_path)) is None


def test_what_does_not(thing: Path) -> None:
    kept = receipt(thing)
    assert why_redo(MARK, None) == "not done yet"
    assert why_redo(Mark("compile", "abd"), kept) == "what it is made from changed"
    thing.write_bytes(b"longer than before")
    assert why_redo(MARK, kept) == f"{thing} changed size"
    thing.unlink()
    assert why_redo(MARK, kept) == f"{thing} is gone"


def test_a_dangling_link_is_gone(thing: Path, tmp_path: Path) -> None:
    link = tmp_path / "python"
    link.symlink_to(thing)
    kept = receipt(link)
    thing.unlink()
    assert why_redo(MARK, kept) == f"{link} is gone"


def test_only_a_hashed_file_is_read_again(thing: Path) -> None:
    plain, hashed = receipt(thing), receipt(thing, hashed=True)
    later(thing)
    assert (why_redo(MARK, plain), why_redo(MARK, hashed)) == (None, None)
    thing.write_bytes(b"BINARY")
    later(thing)
    assert (why_redo(MARK, plain), why_redo(MARK, hashed)) == (None, f"{thing} changed")


def test_sources_that_were_written(tree: Path) -> None:
    mark = Mark("compile", "abc", str(tree))
    inputs = read_inputs(tree)
    kept = receipt(inputs_stat=inputs.stat, inputs_content=inputs.content)
    assert why_redo(mark, kept) is None
    later(tree / "vllm" / "b.py")
    later(tree / "x.cpp")
    assert why_redo(mark, kept) is None
    later(tree / "csrc" / "cpu" / "a.cpp")
    assert why_redo(mark, kept) == SOURCES_WRITTEN


def test_touched_is_not_changed(tree: Path, tmp_path: Path) -> None:
    mark = Mark("compile", "abc", str(tree))
    inputs = read_inputs(tree)
    write_receipt(tmp_path, receipt(inputs_stat=inputs.stat, inputs_content=inputs.content))
    later(tree / "csrc" / "cpu" / "a.cpp")
    assert why_redo_any([mark], tmp_path) is None
    (tree / "csrc" / "cpu" / "a.cpp").write_text("changed")
    assert why_redo_any([mark], tmp_path) == f"compile: {SOURCES_WRITTEN}"


def test_the_first_reason_is_told(tmp_path: Path, thing: Path) -> None:
    write_receipt(tmp_path, receipt(thing))
    marks = [MARK, Mark("register", "def")]
    assert why_redo_any(marks[:1], tmp_path) is None
    assert why_redo_any(marks, tmp_path) == "register: not done yet"


@pytest.mark.parametrize(
    "change",
    ["csrc/cpu/a.cpp", "csrc/new.cpp", "cmake/utils.cmake", "CMakeLists.txt", "csrc/deep/er/x.h"],
)
def test_every_native_file_counts(tree: Path, change: str) -> None:
    before = read_inputs(tree)
    (tree / change).parent.mkdir(parents=True, exist_ok=True)
    (tree / change).write_text("something else")
    after = read_inputs(tree)
    assert before.content != after.content
    assert before.stat != after.stat == read_stat_digest(tree)


def test_a_renamed_file_counts(tree: Path) -> None:
    before = read_inputs(tree)
    (tree / "csrc/cpu/a.cpp").rename(tree / "csrc/cpu/b.cpp")
    assert read_inputs(tree).content != before.content


def test_a_tree_without_native_files(tmp_path: Path) -> None:
    assert read_inputs(tmp_path) == read_inputs(tmp_path)
