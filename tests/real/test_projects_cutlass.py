"""CUTLASS as the package index carries it: byte for byte the tag's headers."""

import os
from pathlib import Path

import pytest

from vllm_forge.records.home import Home
from vllm_forge.records.project import Ways
from vllm_forge.release import read_known_release
from vllm_forge.run.doors import Doors
from vllm_forge.run.index import read_index_settings
from vllm_forge.run.network import Network
from vllm_forge.run.process import run_command
from vllm_forge.run.projects.cutlass import is_tag, read_cutlass_version
from vllm_forge.run.projects.obtain import obtain_project

pytestmark = pytest.mark.network
CACHE = Path(os.environ.get("VLLM_FORGE_TEST_CACHE") or Path.home() / ".cache" / "vllm-forge-tests")
PARTS = frozenset({"include", "tools", "python"})


@pytest.mark.parametrize(("vllm", "cutlass"), [("0.10.1", "4.0.0"), ("0.28.0", "4.4.2")])
def test_the_pinned_cutlass_is_had_without_a_code_host(vllm: str, cutlass: str) -> None:
    doors = Doors(
        home=Home(CACHE / "home"),
        settings=read_index_settings(os.environ, run_command),
        network=Network(),
        run=run_command,
        emit=lambda _event: None,
        environ={},
        offline=False,
    )
    release = read_known_release(vllm)
    assert release is not None
    project = next(each for each in release.projects if each.name == "cutlass")

    obtained = obtain_project(project, Ways(cutlass_parts=PARTS), doors)

    folder = Path(obtained.folder)
    assert (obtained.origin, obtained.exact, obtained.difference) == ("index", True, None)
    assert (read_cutlass_version(folder), is_tag(folder, cutlass)) == (cutlass, True)
    assert (folder / "python/cutlass_library/__init__.py").is_file()
    assert "CUTLASS_INCLUDE_DIR" in (folder / "CMakeLists.txt").read_text()
