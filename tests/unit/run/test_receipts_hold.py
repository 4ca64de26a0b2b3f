"""Whether what a receipt says is still so."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from vllm_forge.records.receipt import Receipt
from vllm_forge.run.inputs import NATIVE, read_native_digest
from vllm_forge.run.receipts import (
    Mark,
    made,
    read_receipt,
    why_redo,
    why_redo_any,
    write_receipt,
)
from vllm_forge.run.watched import Root, watch, write_watched

MARK = Mark("compile", "abc")
SOURCES = Mark("compile", "abc", watched=True)
NOWHERE = Path("/nowhere")


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
    assert why_redo(MARK, receipt(thing, tmp_path), NOWHERE) is None


def test_what_does_not(thing: Path) -> None:
    kept = receipt(thing)
    assert why_redo(MARK, None, NOWHERE) == "not done yet"
    assert why_redo(Mark("compile", "abd"), kept, NOWHERE) == "what it is made from changed"
    thing.write_bytes(b"longer than before")
    assert why_redo(MARK, kept, NOWHERE) == f"{thing} changed size"
    thing.unlink()
    assert why_redo(MARK, kept, NOWHERE) == f"{thing} is gone"


def test_a_dangling_link_is_gone(thing: Path, tmp_path: Path) -> None:
    link = tmp_path / "python"
    link.symlink_to(thing)
    kept = receipt(link)
    thing.unlink()
    assert why_redo(MARK, kept, NOWHERE) == f"{link} is gone"


def test_only_a_hashed_file_is_read_again(thing: Path) -> None:
    plain, hashed = receipt(thing), receipt(thing, hashed=True)
    later(thing)
    assert (why_redo(MARK, plain, NOWHERE), why_redo(MARK, hashed, NOWHERE)) == (None, None)
    thing.write_bytes(b"BINARY")
    later(thing)
    assert (why_redo(MARK, plain, NOWHERE), why_redo(MARK, hashed, NOWHERE)) == (
        None,
        f"{thing} changed",
    )


@pytest.fixture
def built(tree: Path, tmp_path: Path) -> Path:
    """The folder of receipts of a compile that read the tree's native sources and one header."""
    (tmp_path / "torch.h").write_text("torch")
    roots = (Root(str(tree), NATIVE),)
    write_receipt(tmp_path, receipt())
    write_watched(tmp_path, "compile", watch(roots, [str(tmp_path / "torch.h")], os.environ))
    return tmp_path


def test_sources_that_were_written(tree: Path, built: Path) -> None:
    assert why_redo(SOURCES, receipt(), built) is None
    later(tree / "vllm" / "b.py")
    later(tree / "x.cpp")
    assert why_redo(SOURCES, receipt(), built) is None
    source = tree / "csrc" / "cpu" / "a.cpp"
    later(source)
    assert why_redo(SOURCES, receipt(), built) == f"{source} was written"


def test_touched_is_not_changed(tree: Path, built: Path) -> None:
    source = tree / "csrc" / "cpu" / "a.cpp"
    later(source)
    assert why_redo_any([SOURCES], built) is None
    assert why_redo(SOURCES, receipt(), built) is None, "its new time is kept"
    source.write_text("changed")
    assert why_redo_any([SOURCES], built) == f"compile: {source} was written"


def test_a_header_elsewhere_counts(built: Path) -> None:
    """Under its old time and size, as an installer may leave it."""
    header = built / "torch.h"
    before = header.stat()
    header.write_text("TORCH")
    os.utime(header, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert why_redo_any([SOURCES], built) == f"compile: {header} was written"
    header.unlink()
    assert why_redo_any([SOURCES], built) == f"compile: {header} was written"


def test_a_library_that_another_environment_links_counts_by_content(tmp_path: Path) -> None:
    """uv links environments out of its cache: each new one changes the times of all."""
    library = tmp_path / "libtorch_cuda.so"
    with library.open("wb") as file:
        file.truncate(300 << 20)
    write_receipt(tmp_path, receipt())
    write_watched(tmp_path, "compile", watch((), [str(library)], os.environ))
    (tmp_path / "another.so").hardlink_to(library)
    assert why_redo(SOURCES, receipt(), tmp_path) == f"{library} was written"
    assert why_redo_any([SOURCES], tmp_path) is None
    with library.open("r+b") as file:
        file.write(b"x")
    assert why_redo_any([SOURCES], tmp_path) == f"compile: {library} was written"


@pytest.mark.parametrize("name", ["csrc/new.h", "cmake/new.cmake"])
def test_a_name_that_is_new_or_gone_counts(tree: Path, built: Path, name: str) -> None:
    (tree / name).touch()
    assert why_redo_any([SOURCES], built) == f"compile: {tree / name} was written"
    (tree / name).unlink()
    assert why_redo_any([SOURCES], built) is None
    (tree / "csrc" / "cpu" / "a.cpp").unlink()
    assert str(why_redo_any([SOURCES], built)).endswith("a.cpp was written")


@pytest.mark.parametrize("name", ["CPATH", "NVCC_APPEND_FLAGS", "CXXFLAGS"])
def test_a_variable_that_compilers_obey_counts(
    built: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "-DX")
    said = why_redo_any([SOURCES], built)
    assert said == "compile: a variable that compilers obey changed"


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b'{"inside": 3}'])
def test_a_lost_list_of_inputs_is_no_excuse(built: Path, garbage: bytes) -> None:
    (built / "compile-inputs.json").write_bytes(garbage)
    assert why_redo(SOURCES, receipt(), built) == "what it was made from is not known"


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
    before = read_native_digest(tree)
    (tree / change).parent.mkdir(parents=True, exist_ok=True)
    (tree / change).write_text("something else")
    assert read_native_digest(tree) != before


def test_a_renamed_file_counts(tree: Path) -> None:
    before = read_native_digest(tree)
    (tree / "csrc/cpu/a.cpp").rename(tree / "csrc/cpu/b.cpp")
    assert read_native_digest(tree) != before


def test_what_is_not_native_does_not_count(tree: Path, tmp_path: Path) -> None:
    before = read_native_digest(tree)
    (tree / "vllm" / "b.py").write_text("changed")
    (tree / "csrc" / "__pycache__").mkdir()
    (tree / "csrc" / "__pycache__" / "a.pyc").touch()
    assert read_native_digest(tree) == before
    assert read_native_digest(tmp_path / "none") == read_native_digest(tmp_path / "nor this")
