"""The hook that CMake includes: options of sources in a real build.ninja, the tree untouched."""

import os
import subprocess
from pathlib import Path

import pytest

from vllm_forge.records.plan import HOOK, MENDED, Configure
from vllm_forge.run.cmake_hook import write_cmake_hook
from vllm_forge.run.configure import configure

LISTS = """\
cmake_minimum_required(VERSION 3.26)
project(mended LANGUAGES CXX)
function(gencode source)
  foreach(arch IN LISTS ARGN)
    set_property(SOURCE ${source} APPEND PROPERTY COMPILE_OPTIONS
      "$<$<COMPILE_LANGUAGE:CXX>:-gencode arch=compute_${arch},code=sm_${arch}>")
  endforeach()
endfunction()
add_library(_C MODULE marlin.cpp plain.cpp)
gencode(marlin.cpp 87)
gencode(plain.cpp 89 90a)
add_subdirectory(fetched)
"""
FETCHED = "project(fetched LANGUAGES CXX)\n"

pytestmark = pytest.mark.compile


def options(build: Path, source: str) -> str:
    text = (build / "build.ninja").read_text()
    edge = text[text.index(f"/{source}.o:") :]
    return edge[edge.index("FLAGS = ") :].partition("\n")[0]


def test_only_the_wrong_architecture_is_rewritten(tmp_path: Path) -> None:
    tree, build, hook = tmp_path / "tree", tmp_path / "build", tmp_path / "hook.cmake"
    (tree / "fetched").mkdir(parents=True)
    (tree / "CMakeLists.txt").write_text(LISTS)
    (tree / "fetched" / "CMakeLists.txt").write_text(FETCHED)
    for name in ("marlin.cpp", "plain.cpp"):
        (tree / name).write_text("")
    found = subprocess.run(["which", "g++"], capture_output=True, check=False, text=True)
    if found.returncode:
        pytest.skip("g++ is not here")
    stock = Configure(str(tree), str(build), {}, {"PATH": os.environ["PATH"]}, found.stdout.strip())
    log = tmp_path / "log"
    notes: list[str] = []
    configure(stock, "g++", log=log, on_line=lambda _: None, on_note=notes.append)
    assert "arch=compute_87,code=sm_87" in options(build, "marlin.cpp")
    kept = build / "an-object.o"
    kept.write_text("")
    write_cmake_hook(hook)
    definitions = {HOOK: str(hook), MENDED: "87=80"}
    ours = Configure(stock.source, stock.build, definitions, stock.variables, stock.compiler)
    configure(ours, "g++", log=log, on_line=lambda _: None, on_note=notes.append)
    assert "-gencode arch=compute_80,code=sm_80" in options(build, "marlin.cpp")
    assert "87" not in options(build, "marlin.cpp")
    plain = options(build, "plain.cpp")
    assert "arch=compute_89,code=sm_89" in plain
    assert "arch=compute_90a,code=sm_90a" in plain
    assert kept.exists()
    assert notes == []
