"""Real CMake configures with a stub in a project's place, without the network."""

from pathlib import Path

import pytest

from vllm_forge.records.home import Home
from vllm_forge.records.project import Stub, Ways
from vllm_forge.records.release import FetchedProject
from vllm_forge.run.doors import Doors
from vllm_forge.run.index import IndexSettings
from vllm_forge.run.network import Network
from vllm_forge.run.process import run_command
from vllm_forge.run.projects.obtain import obtain_project, overrides_of
from vllm_forge.run.tools import build_variables, tool

pytestmark = pytest.mark.compile

TREE = """
cmake_minimum_required(VERSION 3.26)
project(tree LANGUAGES CXX)
include(FetchContent)
set(FETCHCONTENT_FULLY_DISCONNECTED ON)
FetchContent_Declare(attention GIT_REPOSITORY https://code.invalid/a.git GIT_TAG v1)
FetchContent_MakeAvailable(attention)
file(READ "${attention_SOURCE_DIR}/a/interface.py" read)
add_library(_own_C MODULE ${attention_SOURCE_DIR}/csrc/k.cpp)
add_library(wanted MODULE wanted.cpp)
"""


def test_configure_passes_and_stubbed_targets_fail(tmp_path: Path) -> None:
    doors = Doors(
        home=Home(tmp_path / "home"),
        settings=IndexSettings("file:///nowhere", "a test"),
        network=Network(offline=True),
        run=run_command,
        emit=lambda _event: None,
        environ={},
        offline=True,
    )
    project = FetchedProject(
        "attention", "https://code.invalid/a.git", "v1", None, None, ("cuda",), "CMakeLists.txt:6"
    )
    stub = Stub(("_brought_C",), ("csrc/k.cpp", "a/interface.py"))
    obtained = obtain_project(project, Ways(stubs={"attention": stub}), doors)
    overrides = overrides_of({project.name: obtained.folder}, (project,))
    tree, build = tmp_path / "tree", tmp_path / "build"
    tree.mkdir()
    (tree / "CMakeLists.txt").write_text(TREE)
    (tree / "wanted.cpp").write_text("int wanted() { return 1; }\n")

    def cmake(*words: str | Path) -> tuple[int, str]:
        said = run_command([tool("cmake"), *words], env=build_variables(), timeout=120)
        return said.code, said.stdout + said.stderr

    definitions = [f"-D{name}={value}" for name, value in overrides.definitions.items()]
    ninja = f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}"
    code, said = cmake("-G", "Ninja", ninja, "-S", tree, "-B", build, *definitions)
    assert code == 0, said
    assert cmake("--build", build, "--target", "wanted")[0] == 0
    code, said = cmake("--build", build, "--target", "_brought_C")
    assert code != 0
    assert "attention is a stub" in said
    code, said = cmake("--build", build, "--target", "_own_C")
    assert code != 0
    assert "attention was left out of this build" in said
