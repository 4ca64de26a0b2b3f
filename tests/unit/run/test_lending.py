"""What an interpreter lends: seen by the environment, told to uv, never installed again."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from vllm_forge.probe.lent import parse_torch_version, read_lent
from vllm_forge.records.lent import Lent
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.environment import site_packages_of
from vllm_forge.run.lending import (
    LentPackages,
    as_preferences,
    read_packages,
    refuse_own_torch,
    show_packages,
    without_lent,
    write_metadata_wheel,
)
from vllm_forge.run.process import run_command
from vllm_forge.run.uv import uv_program

VERSION_FILE = """\
from typing import Optional
__version__ = '9.9.0+cu999'
cuda: Optional[str] = '99.9'
hip: Optional[str] = None
"""


@pytest.fixture
def lender(tmp_path: Path) -> Path:
    """A virtual environment with a package `torch` that tells its version, and nothing else."""
    folder = tmp_path / "lender"
    made = (uv_program(), "venv", "-q", "--no-project", "--python", sys.executable, folder)
    subprocess.run(made, check=True)
    packages = site_packages_of(folder)
    info = packages / "torch-9.9.0.dist-info"
    for path in (packages / "torch", info):
        path.mkdir()
    (packages / "torch" / "__init__.py").write_text("")
    (packages / "torch" / "version.py").write_text(VERSION_FILE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 9.9.0\n")
    return folder


def test_it_is_read_without_importing_torch(lender: Path) -> None:
    lent = read_lent(str(lender / "bin" / "python"), run_command)
    assert (lent.torch, lent.cuda, lent.public_torch) == ("9.9.0+cu999", "99.9", "9.9.0")
    assert lent.folders == (str(site_packages_of(lender)),)
    assert lent.version == ".".join(map(str, sys.version_info[:3]))


def test_an_upgrade_changes_the_digest(lender: Path) -> None:
    named = str(lender / "bin" / "python")
    before = read_lent(named, run_command).packages
    info = site_packages_of(lender) / "more-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: more\nVersion: 1\n")
    assert read_lent(named, run_command).packages != before


def test_what_is_no_interpreter_or_has_no_torch(lender: Path, tmp_path: Path) -> None:
    (site_packages_of(lender) / "torch" / "__init__.py").unlink()
    (site_packages_of(lender) / "torch" / "version.py").unlink()
    (site_packages_of(lender) / "torch").rmdir()
    for named in (str(lender / "bin" / "python"), str(tmp_path / "none"), "/bin/cat"):
        with pytest.raises(Problem, match="--torch-from") as caught:
            read_lent(named, run_command)
        assert caught.value.exit_code is ExitCode.USAGE


def test_a_version_file_that_says_nothing() -> None:
    with pytest.raises(Problem):
        parse_torch_version("nothing = 1\n")


def test_the_environment_sees_it_behind_its_own(lender: Path, tmp_path: Path) -> None:
    lent = read_lent(str(lender / "bin" / "python"), run_command)
    over = tmp_path / "over"
    made = (uv_program(), "venv", "-q", "--no-project", "--python", lent.python, over)
    subprocess.run(made, check=True)
    show_packages(lent, site_packages_of(over))
    code = "import torch, torch.version, sys; print(torch.__file__)"
    said = run_command([over / "bin" / "python", "-I", "-c", code])
    assert said.stdout.startswith(str(lender)), said.stderr
    refuse_own_torch(site_packages_of(over), lent)
    (site_packages_of(over) / "torch").mkdir()
    with pytest.raises(Problem, match="a torch of its own"):
        refuse_own_torch(site_packages_of(over), lent)


def test_metadata_wheels_say_what_is_there(lender: Path, tmp_path: Path) -> None:
    lent = read_lent(str(lender / "bin" / "python"), run_command)
    packages = read_packages(lent, tmp_path / "links", run_command)
    assert packages.versions["torch"] == "9.9.0"
    assert "torch==9.9.0\n" in as_preferences(packages)
    with zipfile.ZipFile(tmp_path / "links" / "torch-9.9.0-py3-none-any.whl") as wheel:
        assert "Version: 9.9.0" in wheel.read("torch-9.9.0.dist-info/METADATA").decode()
    assert write_metadata_wheel(tmp_path, "x", "no version", "") is None


def test_uv_resolves_with_them_alone(lender: Path, tmp_path: Path) -> None:
    lent = read_lent(str(lender / "bin" / "python"), run_command)
    packages = read_packages(lent, tmp_path / "links", run_command)
    info = "Metadata-Version: 2.1\nName: wants\nVersion: 1.0\nRequires-Dist: torch>=9\n"
    write_metadata_wheel(tmp_path / "links", "wants", "1.0", info)
    (tmp_path / "wanted").write_text("wants\n")
    done = subprocess.run(
        [
            *(uv_program(), "pip", "compile", "--offline", "--no-index", "--no-header"),
            *("--find-links", packages.links, tmp_path / "wanted"),
        ],
        capture_output=True,
        check=True,
        text=True,
    )
    left = without_lent(done.stdout, packages)
    assert "torch==9.9.0" in done.stdout
    assert "torch==" not in left
    assert "wants==1.0" in left


@pytest.mark.parametrize(
    ("line", "stays"),
    [("a==1.0", False), ("A==1", False), ("a==1.0.1", True), ("b==1.0", True), ("# a==1.0", True)],
)
def test_what_is_left_to_install(line: str, stays: bool) -> None:  # noqa: FBT001 -- a case
    here = LentPackages({"a": "1.0"}, Path())
    text = f"{line} \\\n    --hash=sha256:0\n"
    assert without_lent(text, here) == (text if stays else "")


def test_a_lent_torch_is_a_value() -> None:
    lent = Lent("/p", "3.12.3", headers=True, torch="2.11.0", cuda=None, folders=(), packages="")
    assert lent.public_torch == "2.11.0"
