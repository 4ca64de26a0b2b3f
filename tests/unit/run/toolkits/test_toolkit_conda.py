"""A prefix out of conda's packages. No conda is on the index: a program stands in for it that
answers as micromamba does and lays out files where the community's CUDA packages have them.
"""

import json
import sys
from pathlib import Path

import pytest

from vllm_forge.probe.toolkit_parts import PARTS, missing_parts
from vllm_forge.records.decision import Refused
from vllm_forge.records.home import Home
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.doors import Doors
from vllm_forge.run.index import IndexSettings
from vllm_forge.run.network import Network
from vllm_forge.run.process import run_command
from vllm_forge.run.toolkits.conda import offer_conda
from vllm_forge.run.toolkits.provider import Asked, Recipe

LINK = {
    "name": "cuda-nvcc-tools",
    "version": "12.4.131",
    "url": "https://c/linux-64/cuda-nvcc-tools-12.4.131-0.conda",
    "sha256": "b" * 64,
    "size": 22,
}
PROGRAM = """\
#!{python}
import json, pathlib, sys
words = sys.argv[1:]
if "cuda-version=12.4" not in words:
    sys.exit("nothing provides " + words[-1])
if "--dry-run" in words:
    print(json.dumps({{"success": True, "actions": {{"LINK": [{link}]}}}}))
elif {broken}:
    sys.exit("critical libmamba Download error (28) Timeout")
else:
    prefix = pathlib.Path(words[words.index("--prefix") + 1])
    for name in {files}:
        file = prefix / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
"""


def place_in_conda(part: str) -> str:
    """Where the community's packages have what NVIDIA has in include and lib64."""
    folder, _, rest = part.partition("/")
    inside = {"include": "include", "lib64": "lib"}.get(folder)
    return part if inside is None else f"targets/x86_64-linux/{inside}/{rest}"


@pytest.fixture
def conda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in's path; nothing else is on PATH."""
    program = tmp_path / "bin" / "micromamba"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", str(program.parent))
    return program


def write(program: Path, *, broken: bool = False) -> None:
    files = [place_in_conda(names[0]) for names in PARTS if "profile" not in names[0]]
    text = PROGRAM.format(
        python=sys.executable,
        link=json.dumps(LINK),
        files=[*files, "include/zlib.h", "lib/libstdc++.so"],
        broken=broken,
    )
    program.write_text(text)
    program.chmod(0o755)


def offered(home: Path, version: str = "12.4") -> Recipe | Refused:
    doors = Doors(
        home=Home(home),
        settings=IndexSettings("file:///nowhere", "a test"),
        network=Network(offline=True),
        run=run_command,
        emit=lambda _: None,
        environ={},
        offline=True,
    )
    return offer_conda(Asked(version), doors)


def test_what_a_build_needs_is_moved_into_an_ordinary_prefix(conda: Path, tmp_path: Path) -> None:
    write(conda)
    found = offered(tmp_path)
    assert isinstance(found, Recipe)
    assert (found.offer.nvcc, found.offer.provider) == ("12.4.131", "conda")
    into = tmp_path / "into"
    into.mkdir()
    found.fill(into, lambda _: None)
    assert missing_parts(into) == ()
    assert not (into / "conda").exists()
    assert not (into / "include" / "zlib.h").exists()


def test_no_solution_is_said_in_its_words(conda: Path, tmp_path: Path) -> None:
    write(conda)
    found = offered(tmp_path, "11.1")
    assert isinstance(found, Refused)
    assert (
        found.because[0].fact == "micromamba finds no solution: nothing provides cuda-version=11.1"
    )


def test_a_failed_download_is_not_taken_for_a_toolkit(conda: Path, tmp_path: Path) -> None:
    write(conda, broken=True)
    found = offered(tmp_path)
    assert isinstance(found, Recipe)
    (tmp_path / "into").mkdir()
    with pytest.raises(Problem, match="could not install") as caught:
        found.fill(tmp_path / "into", lambda _: None)
    assert caught.value.exit_code is ExitCode.UNREACHABLE


@pytest.mark.usefixtures("conda")
def test_without_conda_it_offers_nothing(tmp_path: Path) -> None:
    assert isinstance(offered(tmp_path), Refused)
