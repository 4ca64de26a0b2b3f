"""A whole tree to its record, and trees that are none."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vllm_forge.records.codec import parse_json
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.release import Release
from vllm_forge.release import read_release

TREES = Path(__file__).parent / "trees"
OwnTree = Callable[[str], Path]


@pytest.mark.parametrize("name", ["early", "late"])
def test_every_fact_of_a_tree(name: str, request: pytest.FixtureRequest) -> None:
    file = TREES / f"{name}.expected.json"
    expected = parse_json(file.read_bytes(), Release, origin=str(file))
    assert read_release(request.getfixturevalue(name)) == expected


def test_the_readers_own_environment_is_ignored(late: Path) -> None:
    before = read_release(late)
    changed = {"VLLM_MAIN_CUDA_VERSION": "9.9", "DEEPGEMM_SRC_DIR": "/elsewhere"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in changed.items():
            patch.setitem(os.environ, name, value)
        assert read_release(late) == before


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda tree: (tree / "cmake/utils.cmake").unlink(), "cmake/utils.cmake"),
        (lambda tree: (tree / "setup.py").unlink(), "setup.py"),
        (lambda tree: (tree / "requirements/common.txt").unlink(), "requirements/common.txt"),
        (lambda tree: (tree / "setup.py").write_text("def broken("), "setup.py"),
        (lambda tree: (tree / "setup.py").write_bytes(b"\xff\xfe"), "setup.py"),
        (lambda tree: (tree / "pyproject.toml").write_text("[project"), "pyproject.toml"),
        (lambda tree: (tree / "CMakeLists.txt").write_text("if(A)\n"), "CMakeLists.txt:1"),
        (lambda tree: (tree / "CMakeLists.txt").write_text('set(A "b)\n'), "CMakeLists.txt:1"),
        (lambda tree: (tree / "requirements/cuda.txt").write_text("-r gone.txt\n"), "gone.txt"),
    ],
)
def test_half_a_tree_is_bad_input(
    own_tree: OwnTree, damage: Callable[[Path], object], named: str
) -> None:
    tree = own_tree("early")
    damage(tree)
    with pytest.raises(Problem) as caught:
        read_release(tree)
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert named in caught.value.message
    assert str(tree) in caught.value.message


def test_a_folder_that_is_not_vllm(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="not a vLLM source tree") as caught:
        read_release(tmp_path)
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert str(tmp_path) in caught.value.message


def test_a_file_is_not_a_tree(tmp_path: Path) -> None:
    archive = tmp_path / "vllm-0.10.1.tar.gz"
    archive.touch()
    with pytest.raises(Problem, match="is not a folder"):
        read_release(archive)


def test_another_project_of_the_same_shape(own_tree: OwnTree) -> None:
    tree = own_tree("late")
    (tree / "pyproject.toml").write_text('[project]\nname = "sglang"\n')
    with pytest.raises(Problem, match="that of sglang"):
        read_release(tree)


def test_what_is_not_found_is_unknown_and_says_where(own_tree: OwnTree) -> None:
    tree = own_tree("late")
    (tree / "vllm/_version.py").unlink()
    (tree / "vllm/v1/attention/backends/fa_utils.py").unlink()
    (tree / "vllm/model_executor/layers/quantization/modelopt.py").unlink()
    release = read_release(tree)
    assert release.version.value is None
    assert "vllm/_version.py" in release.version.source
    gate = next(gate for gate in release.gates if gate.subject == "_vllm_fa3_C")
    assert gate.capabilities.value is None
    assert "get_flash_attn_version" in gate.capabilities.source
    assert release.modelopt.algorithms.value is None
    assert release.modelopt.accepts_flat.value is None
    assert (
        next(m for m in release.quantization if m.name == "modelopt").min_capability.value is None
    )
