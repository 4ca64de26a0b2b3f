"""An extension is compiled once, whoever asks for it, and never when something is different."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vllm_forge.run.configure import configured_by

if TYPE_CHECKING:
    from tests.support.workshop import Checkout, Workshop

pytestmark = pytest.mark.compile

BOTH = {"_C", "_moe_C"}


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, make_workshop: "Callable[[Path], Workshop]"
) -> "Iterator[Workshop]":
    """A store that holds what `first` was compiled to."""
    workshop = make_workshop(tmp_path_factory.mktemp("shared"))
    first = workshop.checkout("first")
    first.build()
    assert (first.value(), first.value("_moe_C")) == (1321, 302)
    yield workshop
    assert first.notes == []


def test_a_second_checkout_starts_no_cmake(shared: "Workshop") -> None:
    second = shared.checkout("second")
    configured, compiled = second.build()
    assert "not needed" in configured.summary
    assert compiled.summary.startswith("_C, _moe_C from the store, ")
    assert not second.build_folder.exists()
    assert (second.value(), second.value("_moe_C")) == (1321, 302)
    assert [Path(one.path).parent for one in compiled.made] == [second.tree / "vllm"] * 2


def touch(checkout: "Checkout") -> None:
    for path in sorted(checkout.tree.rglob("*.*")):
        os.utime(path)


def fill_environment(checkout: "Checkout") -> None:
    (checkout.torch.parent / "another.py").write_text("another = 1\n")


def add_document(checkout: "Checkout") -> None:
    (checkout.tree / "csrc" / "README.md").write_text("read me\n")


def add_unread_header(checkout: "Checkout") -> None:
    (checkout.tree / "csrc" / "other.h").write_text("#define PART 7\n")


def edit_python(checkout: "Checkout") -> None:
    checkout.edit("vllm/__init__.py", "sys", "os")


SAME = (touch, fill_environment, add_document, add_unread_header, edit_python)


@pytest.mark.parametrize("change", SAME, ids=lambda change: change.__name__)
def test_what_does_not_matter_still_hits(
    shared: "Workshop", change: "Callable[[Checkout], None]"
) -> None:
    checkout = shared.checkout(f"same-{change.__name__}")
    change(checkout)
    assert checkout.known() == BOTH


def edit_source(checkout: "Checkout") -> set[str]:
    checkout.edit("csrc/_C.cpp", "1 + PART", "3 + PART")
    return {"_moe_C"}


def edit_header(checkout: "Checkout") -> set[str]:
    checkout.edit("csrc/inner/part.h", "20", "30")
    return {"_moe_C"}


def put_header_before(checkout: "Checkout") -> set[str]:
    (checkout.tree / "csrc" / "part.h").write_text("#define PART 40\n")
    return {"_moe_C"}


def edit_torch_header(checkout: "Checkout") -> set[str]:
    (checkout.torch / "include" / "torch" / "all.h").write_text("#define TORCH 400\n")
    return set()


def edit_cmake(checkout: "Checkout") -> set[str]:
    checkout.edit("cmake/flags.cmake", "-O1", "-O2")
    return set()


def edit_generator(checkout: "Checkout") -> set[str]:
    checkout.edit("csrc/generate.py", "1000", "2000")
    return set()


def edit_generated(checkout: "Checkout") -> set[str]:
    (checkout.tree / "csrc" / "kernel_made.cpp").write_text("int made() { return 5000; }\n")
    return set()


def add_globbed_source(checkout: "Checkout") -> set[str]:
    (checkout.tree / "csrc" / "kernel_new.cpp").write_text("int more() { return 1; }\n")
    return set()


def define(checkout: "Checkout") -> set[str]:
    checkout.definitions["CMAKE_CXX_FLAGS"] = "-DNEW"
    return set()


def set_variable(checkout: "Checkout") -> set[str]:
    checkout.variables["VLLM_CPU_DISABLE_AVX512"] = "true"
    return set()


def take_other_torch(checkout: "Checkout") -> set[str]:
    record = next(checkout.torch.parent.glob("*.dist-info")) / "RECORD"
    record.write_text(record.read_text().replace("sha256=def", "sha256=fed"))
    return set()


def take_other_python(checkout: "Checkout") -> set[str]:
    config = checkout.base / "env" / "pyvenv.cfg"
    config.write_text(config.read_text().replace("3.12.1", "3.11.9"))
    return set()


def take_other_compiler(checkout: "Checkout") -> set[str]:
    compiler = checkout.base / "g++"
    compiler.write_text('#!/bin/sh\nexec /usr/bin/g++ "$@"\n')
    compiler.chmod(0o755)
    checkout.compiler = str(compiler)
    return set()


OTHER = (
    edit_source,
    edit_header,
    put_header_before,
    edit_torch_header,
    edit_cmake,
    edit_generator,
    edit_generated,
    add_globbed_source,
    define,
    set_variable,
    take_other_torch,
    take_other_python,
    take_other_compiler,
)


@pytest.mark.parametrize("change", OTHER, ids=lambda change: change.__name__)
def test_whatever_matters_misses(
    shared: "Workshop", change: "Callable[[Checkout], set[str]]"
) -> None:
    checkout = shared.checkout(f"other-{change.__name__}")
    assert checkout.known() == BOTH
    assert change(checkout) == checkout.known()


@pytest.mark.parametrize("name", ["CXXFLAGS", "CPATH", "NVCC_APPEND_FLAGS", "CMAKE_BUILD_TYPE_X"])
def test_a_variable_that_reaches_compilers_misses(
    shared: "Workshop", name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = shared.checkout(f"variable-{name}")
    monkeypatch.setenv(name, "-DOTHER")
    assert checkout.known() == set()


def test_an_edit_compiles_its_target_and_its_revert_nothing(workshop: "Workshop") -> None:
    mine = workshop.checkout("mine")
    mine.build()
    mine.edit("csrc/inner/part.h", "20", "50")
    said = mine.compile().summary
    assert said.startswith("1 extension, ")
    assert "_moe_C from the store" in said
    assert mine.value() == 1351
    log = (mine.build_folder / ".ninja_log").stat().st_mtime_ns
    mine.edit("csrc/inner/part.h", "50", "20")
    assert mine.compile().summary.startswith("_C, _moe_C from the store")
    assert mine.value() == 1321
    assert (mine.build_folder / ".ninja_log").stat().st_mtime_ns == log
    mine.edit("csrc/_C.cpp", "1 + PART", "4 + PART")
    mine.compile()
    assert mine.value() == 1324


def test_an_edit_after_a_restore_is_configured_then(workshop: "Workshop") -> None:
    workshop.checkout("first").build()
    second = workshop.checkout("second")
    second.build()
    second.edit("csrc/_C.cpp", "1 + PART", "5 + PART")
    assert second.compile().summary.startswith("1 extension, ")
    assert (second.value(), second.value("_moe_C")) == (1325, 302)
    second.edit("cmake/flags.cmake", "-O1", "-O1 -DPART=70 -include /dev/null")
    second.edit("csrc/inner/part.h", "#define PART 20", "")
    second.compile()
    assert second.value() == 1375


def test_a_folder_whose_cmake_is_gone_is_configured_by_the_one_that_is_there(
    workshop: "Workshop",
) -> None:
    """vllm-forge was installed in an environment that its user made anew elsewhere."""
    mine = workshop.checkout("mine")
    mine.build()
    cmake = configured_by(mine.build_folder)
    assert cmake is not None
    for name in ("CMakeCache.txt", "build.ninja", "CMakeFiles/rules.ninja"):
        file = mine.build_folder / name
        text = file.read_text()
        file.write_text(text.replace(f"{cmake.parents[1]}/", "/gone/"))  # its modules too
    mine.edit("csrc/_C.cpp", "1 + PART", "7 + PART")
    assert mine.compile().summary.startswith("1 extension, ")
    assert mine.value() == 1327
    assert configured_by(mine.build_folder) == cmake


def test_new_contents_under_an_old_time_are_compiled_and_never_kept_as_others(
    workshop: "Workshop",
) -> None:
    """What cp -p, rsync -t or tar do, and what ninja cannot see."""
    mine = workshop.checkout("mine")
    header = mine.tree / "csrc" / "inner" / "part.h"
    mine.build()
    mine.edit("csrc/inner/part.h", "20", "60")
    os.utime(header, (1, 1))
    mine.compile()
    assert mine.value() == 1361
    other = workshop.checkout("other")
    other.edit("csrc/inner/part.h", "20", "60")
    assert other.known() == BOTH
    other.build()
    assert other.value() == 1361


def test_a_header_that_comes_first_is_read(workshop: "Workshop") -> None:
    """CMake's commands are the same, and so is every file that was read before."""
    workshop.checkout("first").build()
    second = workshop.checkout("second")
    put_header_before(second)
    second.build()
    assert second.value() == 1341


def test_cmake_files_that_come_to_the_same_commands_compile_nothing(
    workshop: "Workshop",
) -> None:
    workshop.checkout("first").build()
    second = workshop.checkout("second")
    second.edit("cmake/flags.cmake", "set(", "# a comment\nset(")
    configured, compiled = second.build()
    assert "not needed" not in configured.summary
    assert compiled.summary.startswith("_C, _moe_C from the store")
    assert not (second.build_folder / ".ninja_log").exists()
    assert second.value() == 1321


def test_a_restored_file_is_no_way_into_the_store(workshop: "Workshop") -> None:
    """Read-only; and where root writes it all the same, the store notices, once, and compiles."""
    first = workshop.checkout("first")
    first.build()
    second = workshop.checkout("second")
    second.build()
    installed = second.tree / "vllm" / "_C.abi3.so"
    assert installed.stat().st_mode & 0o777 == 0o555
    with installed.open("r+b") as file:
        file.seek(1000)
        file.write(b"damage")
    third = workshop.checkout("third")
    third.build()
    assert third.value() == 1321
    assert [note for note in third.notes if "damaged" in note] == third.notes
    assert len(third.notes) == 1
    assert third.compile().summary.startswith("_C, _moe_C from the store")
    shutil.rmtree(first.base)
    assert third.value() == 1321
