"""A real CMake installs what a project has beside its extension."""

from pathlib import Path

import pytest

from vllm_forge.records.problem import Problem
from vllm_forge.run.beside import install_beside
from vllm_forge.run.process import run_command
from vllm_forge.run.tools import build_variables, tool

pytestmark = pytest.mark.compile

TREE = """
cmake_minimum_required(VERSION 3.26)
project(tree LANGUAGES CXX)
add_library(_fa_C MODULE fa.cpp)
set_target_properties(_fa_C PROPERTIES PREFIX "")
install(CODE "set(CMAKE_INSTALL_PREFIX \\"\\${CMAKE_INSTALL_PREFIX}/vllm/\\")" ALL_COMPONENTS)
install(TARGETS _fa_C LIBRARY DESTINATION attention COMPONENT _fa_C)
install(CODE "set(CMAKE_INSTALL_PREFIX \\"\\${CMAKE_INSTALL_PREFIX}/..\\")" ALL_COMPONENTS)
install(DIRECTORY python/ DESTINATION vllm/attention COMPONENT _fa_C FILES_MATCHING PATTERN "*.py")
install(DIRECTORY python/ DESTINATION vllm/other COMPONENT _other_C)
"""


def cmake(*words: str | Path) -> None:
    said = run_command([tool("cmake"), *words], env=build_variables(), timeout=120)
    assert said.code == 0, said.stdout + said.stderr


def test_the_projects_files_replace_those_of_the_sdist(tmp_path: Path) -> None:
    tree, build = tmp_path / "tree", tmp_path / "build"
    package = tree / "vllm" / "attention"
    for file, text in {
        tree / "CMakeLists.txt": TREE,
        tree / "fa.cpp": "int fa() { return 2; }\n",
        tree / "python" / "interface.py": "revision = 2\n",
        tree / "python" / "layers" / "rotary.py": "rotary = ()\n",
        tree / "python" / "notes.txt": "not installed\n",
        package / "interface.py": "revision = 1\n",
        package / "own.py": "mine = ()\n",
    }.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    log = tmp_path / "log"
    cmake("-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}", "-S", tree, "-B", build)
    with pytest.raises(Problem, match="_fa_C was built and could not be installed"):
        install_beside(build, "_fa_C", tree, log)
    cmake("--build", build)
    placed = install_beside(build, "_fa_C", tree, log)
    assert placed == (package / "interface.py", package / "layers" / "rotary.py")
    assert {file.name for file in package.rglob("*.*")} == {"interface.py", "own.py", "rotary.py"}
    assert (package / "interface.py").read_text() == "revision = 2\n"
    assert not list(build.glob("install-*"))
