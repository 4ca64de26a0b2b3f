"""Whom an edit of the native sources reaches; in doubt, everybody."""

from pathlib import Path

import pytest

from vllm_forge.records.release import Configured, ConfiguredTarget
from vllm_forge.records.sourced import Sourced
from vllm_forge.release.reach import read_reach

FILES = {
    "CMakeLists.txt": "project(x)\n",
    "csrc/ops.h": '#include "core/types.hpp"\n',
    "csrc/core/types.hpp": "#pragma once\n",
    "csrc/core/alone.h": "#pragma once\n",
    "csrc/a.cu": '#include "ops.h"\n#include <torch/all.h>\n',
    "csrc/moe/m.cu": '  #  include "../core/types.hpp"\n',
    "csrc/moe/generate.py": "print()\n",
    "csrc/alloc.cpp": "int x;\n",
    "csrc/moe/odd.cpp": '#include "folder/named_by_cmake.h"\n',
    "csrc/far/folder/named_by_cmake.h": "#pragma once\n",
    "csrc/moe/Readme.md": "words\n",
}


def target(name: str, *sources: str, incomplete: str | None = None) -> ConfiguredTarget:
    return ConfiguredTarget(name, sources, (), "CMakeLists.txt:1", incomplete=incomplete)


CONFIGURED = Configured(
    device="cuda",
    nvcc="12.4",
    requested=("8.9",),
    supported=Sourced(("8.9",), "CMakeLists.txt:1"),
    architectures=("8.9",),
    stopped=Sourced(None, "it ends"),
    warnings=(),
    groups=(),
    targets=(
        target("_C", "csrc/a.cu"),
        target("_moe_C", "csrc/moe/m.cu", "csrc/moe/odd.cpp"),
        target("alloc", "csrc/alloc.cpp"),
        target("_mla_C", "flashmla-src/csrc/api.cpp"),
        target("_fa_C", incomplete="its files are listed by a project that CMake fetches"),
    ),
)
EVERYBODY = {"_C", "_moe_C", "alloc", "_mla_C", "_fa_C"}
CSRC = EVERYBODY - {"_fa_C"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "reached"),
    [
        ("CMakeLists.txt", EVERYBODY),
        ("cmake/external_projects/flashmla.cmake", EVERYBODY),
        ("csrc/a.cu", {"_C"}),
        ("csrc/alloc.cpp", {"alloc"}),
        ("csrc/ops.h", {"_C", "_mla_C"}),
        ("csrc/core/types.hpp", {"_C", "_moe_C", "_mla_C"}),
        ("csrc/core/alone.h", {"_mla_C"}),
        ("csrc/far/folder/named_by_cmake.h", {"_moe_C", "_mla_C"}),
        ("csrc/moe/generate.py", CSRC),
        ("csrc/moe/Readme.md", set()),
        ("csrc/__pycache__/generate.cpython-312.pyc", set()),
        ("csrc/moe/.gitignore", set()),
        ("csrc/new_and_listed_nowhere.cu", set()),
        ("csrc/moe/ops.h", {"_mla_C"}),
        ("csrc/core/gone.h", {"_mla_C"}),
    ],
)
def test_one_file(tree: Path, changed: str, reached: set[str]) -> None:
    assert read_reach(tree, CONFIGURED, [changed]) == dict.fromkeys(reached, (changed,))


def test_nothing_changed_reaches_nobody(tree: Path) -> None:
    assert read_reach(tree, CONFIGURED, []) == {}


def test_a_header_that_is_gone_reaches_its_includers(tree: Path) -> None:
    (tree / "csrc/core/types.hpp").unlink()
    reach = read_reach(tree, CONFIGURED, ["csrc/core/types.hpp"])
    assert reach.keys() == {"_C", "_moe_C", "_mla_C"}


def test_a_new_header_beside_the_includer_shadows_the_other(tree: Path) -> None:
    (tree / "csrc/moe/types.hpp").write_text("#pragma once\n")
    (tree / "csrc/moe/m.cu").write_text('#include "types.hpp"\n')
    reach = read_reach(tree, CONFIGURED, ["csrc/moe/m.cu", "csrc/moe/types.hpp"])
    assert reach["_moe_C"] == ("csrc/moe/m.cu", "csrc/moe/types.hpp")
