"""Sources left out of a target by a real CMake, ninja and g++: it links, loads, and says so."""

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vllm_forge.plan.steps import SPECIALIZE_FILE
from vllm_forge.records.plan import Specialize
from vllm_forge.records.specialization import LeftOut, MadeFor, Specialization
from vllm_forge.run.specialize import write_specialization

pytestmark = pytest.mark.compile

LISTS = """\
cmake_minimum_required(VERSION 3.26)
project(small LANGUAGES CXX)
set(CMAKE_CXX_STANDARD 17)
add_library(_C MODULE csrc/kept.cpp csrc/gone.cpp)
"""
KEPT = """\
#include <stdexcept>
#include <string>
std::string gone(std::string const& word, long count);
namespace deep { template <typename T> T half(T value); }
static std::string said;
extern "C" const char* ask(int way) {
  try {
    if (way == 3) throw std::runtime_error("both throw the standard library's");
    static long* held = new long(5);  // what a left-out file calls as well
    said = way == 0 ? std::string(*held == 5 ? "kept" : "lost")
         : way == 1 ? gone("a word longer than what is kept in place", 3)
                    : std::to_string(deep::half<long>(4));
  } catch (std::exception const& error) { said = error.what(); }
  return said.c_str();
}
"""
GONE = """\
#include <stdexcept>
#include <string>
std::string gone(std::string const& word, long count) {
  if (count < 0) throw std::runtime_error("negative");
  delete new long(count);
  return word + std::to_string(count);
}
namespace deep {
template <typename T> T half(T value) { return value / 2; }
template long half<long>(long);
}
"""
MADE_FOR = MadeFor(("LlamaForCausalLM",), "modelopt", ("FP8",), ("9.0",))


STATIC_COMPILER = """\
#!/bin/sh
case "$*" in -print-file-name=libstdc++.*) echo "${1#*=}"; exit;; esac
exec g++ "$@" -static-libstdc++
"""
"""A g++ with no shared C++ library, which does not tell where its static one lies."""


def configured(
    tmp_path: Path, *left_out: str, compiler: str = "g++"
) -> subprocess.CompletedProcess[str]:
    """A tree of two files, configured with those left out."""
    for name, text in {
        "CMakeLists.txt": LISTS,
        "csrc/kept.cpp": KEPT,
        "csrc/gone.cpp": GONE,
    }.items():
        file = tmp_path / "tree" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    groups = (LeftOut("_C", left_out, "nothing calls it", "a.py:1"),)
    folder = tmp_path / "forge"
    write_specialization(Specialize(str(folder), Specialization(MADE_FOR, groups, ())))
    command = [
        *("cmake", "-G", "Ninja", "-S", str(tmp_path / "tree"), "-B", str(tmp_path / "build")),
        f"-DCMAKE_PROJECT_TOP_LEVEL_INCLUDES={folder / SPECIALIZE_FILE}",
        f"-DVLLM_PYTHON_EXECUTABLE={sys.executable}",
        f"-DCMAKE_CXX_COMPILER={compiler}",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(params=["shared", "static"])
def compiler(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """By how it links the C++ library."""
    if request.param == "shared":
        return "g++"
    wrapper = tmp_path / "static-g++"
    wrapper.write_text(STATIC_COMPILER)
    wrapper.chmod(0o755)
    return str(wrapper)


def test_what_is_left_out_throws_its_name_and_the_rest_works(tmp_path: Path, compiler: str) -> None:
    assert shutil.which("ninja")
    done = configured(tmp_path, "csrc/gone.cpp", compiler=compiler)
    assert "_C: 1 files left out, 1 kept" in done.stdout, done.stderr
    build = subprocess.run(
        ["ninja", "-C", str(tmp_path / "build")], capture_output=True, text=True, check=False
    )
    assert build.returncode == 0, build.stdout
    assert "gone.cpp.o" not in build.stdout

    library = ctypes.CDLL(str(tmp_path / "build" / "lib_C.so"), mode=2)  # RTLD_NOW
    library.ask.restype = ctypes.c_char_p
    assert library.ask(0) == b"kept"
    assert library.ask(1).startswith(b"gone(")
    assert library.ask(3) == b"both throw the standard library's"
    said = library.ask(2).decode()
    assert said.startswith("long deep::half<long>(long) was left out of this build")
    assert "specialized for LlamaForCausalLM with FP8 read by modelopt" in said
    assert "build again without --specialize" in said


def test_a_list_that_does_not_fit_the_tree_stops_configure(tmp_path: Path) -> None:
    done = configured(tmp_path, "csrc/elsewhere.cpp")
    assert done.returncode != 0
    assert "_C does not compile csrc/elsewhere.cpp: plan it again" in " ".join(done.stderr.split())
