"""CMake presets in a tree of the user's."""

import json
from pathlib import Path

import pytest

from vllm_forge.plan.presets import Preset
from vllm_forge.records.plan import Configure
from vllm_forge.run.presets import write_presets


def preset(tree: Path) -> Preset:
    return Preset(
        Configure(
            str(tree),
            "/home/builds/key",
            {"CMAKE_CXX_COMPILER": "/usr/bin/g++", "Torch_DIR": "/odd $HOME/cmake"},
            {"CUDA_HOME": "/cuda"},
            "/usr/bin/g++",
        ),
        *(Path("/env/bin/cmake"), Path("/env/bin"), ("MAX_JOBS",), ("_C", "_moe_C"), 3),
    )


def test_the_tree_includes_what_lies_in_the_home(tmp_path: Path) -> None:
    into = tmp_path / "home" / "presets.json"
    said = write_presets(preset(tmp_path), into)
    assert said is not None
    assert "cmake --build --preset forge" in said
    there = json.loads((tmp_path / "CMakeUserPresets.json").read_text())
    assert there["include"] == [str(into)]
    [configure] = json.loads(into.read_text())["configurePresets"]
    assert configure["binaryDir"] == "/home/builds/key"
    assert configure["installDir"] == str(tmp_path)
    assert configure["cacheVariables"]["Torch_DIR"] == "/odd ${dollar}HOME/cmake"
    assert configure["environment"] == {
        "MAX_JOBS": None,
        "CUDA_HOME": "/cuda",
        "PATH": "/env/bin:$penv{PATH}",
        "LC_ALL": "C.UTF-8",
    }
    [build] = json.loads(into.read_text())["buildPresets"]
    assert (build["targets"], build["jobs"]) == (["_C", "_moe_C"], 3)
    assert write_presets(preset(tmp_path), into) is None, "the second time there is nothing to say"


@pytest.mark.parametrize(
    "text",
    ['{"version": 4}', '{"version": 4, "include": "x"}', "[]", "{", '{"vendor": {"mine": 1}}'],
)
def test_a_file_of_the_users_is_left_alone(tmp_path: Path, text: str) -> None:
    there = tmp_path / "CMakeUserPresets.json"
    there.write_text(text)
    said = write_presets(preset(tmp_path), tmp_path / "presets.json")
    assert said is not None
    assert "left alone" in said
    assert there.read_text() == text
    assert (tmp_path / "presets.json").exists()


def test_a_file_of_the_users_that_includes_ours_is_enough(tmp_path: Path) -> None:
    into = tmp_path / "presets.json"
    (tmp_path / "CMakeUserPresets.json").write_text(json.dumps({"include": [str(into)]}))
    assert write_presets(preset(tmp_path), into) is None


def test_ours_is_renewed(tmp_path: Path) -> None:
    write_presets(preset(tmp_path), tmp_path / "first.json")
    assert write_presets(preset(tmp_path), tmp_path / "second.json") is not None
    there = json.loads((tmp_path / "CMakeUserPresets.json").read_text())
    assert there["include"] == [str(tmp_path / "second.json")]
