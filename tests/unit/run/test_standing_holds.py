"""A command line's no-op answer holds while everything it stands on is as it was."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from vllm_forge.records.receipt import Receipt
from vllm_forge.run.receipts import Mark, write_receipt
from vllm_forge.run.standing import Standing, keep_standing, read_standing, sign, standing_file

WORDS = ["build", "--locked", "plan.lock"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the command line is given, with the file that it names."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plan.lock").write_text("first")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin"), "HOME": "/root", "VLLM_X": "1"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "requirements" / "build").mkdir(parents=True)
    for name in ("pyproject.toml", "setup.py", "requirements/build/cpu.txt"):
        (tree / name).write_text(name)
    return tree


@pytest.fixture
def standing(tmp_path: Path, tree: Path, environ: dict[str, str]) -> Path:
    receipts = tmp_path / "receipts"
    write_receipt(receipts, Receipt("source", "abc", (), 0.1, "2026-01-01T00:00:00+00:00"))
    path = standing_file(tmp_path, WORDS)
    marks = (Mark("source", "abc"),)
    signature = sign(str(tree), WORDS, environ)
    keep_standing(
        path, Standing(signature, str(receipts), marks, str(tree), "/envs/a", '{"status": "x"}')
    )
    return path


def test_it_holds(standing: Path, environ: dict[str, str]) -> None:
    kept = read_standing(standing, WORDS, environ)
    assert kept is not None
    assert (kept.environment, kept.document) == ("/envs/a", '{"status": "x"}')


@pytest.mark.parametrize(
    "change",
    [{"VLLM_X": "2"}, {"CXX": "g++-13"}, {"PIP_INDEX_URL": "x"}, {"FLASH_MLA_SRC_DIR": "x"}],
)
def test_variables_that_a_plan_may_hear(
    standing: Path, environ: dict[str, str], change: dict[str, str]
) -> None:
    assert read_standing(standing, WORDS, {**environ, **change}) is None
    assert read_standing(standing, WORDS, {**environ, "TERM": "dumb"}) is not None


def test_a_program_that_appears_on_path(
    standing: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "bin" / "g++").touch()
    os.utime(tmp_path / "bin", ns=(1, 1))
    assert read_standing(standing, WORDS, environ) is None


@pytest.mark.parametrize("name", ["pyproject.toml", "setup.py", "requirements/build/cpu.txt"])
def test_facts_of_the_tree(standing: Path, environ: dict[str, str], tree: Path, name: str) -> None:
    (tree / name).write_text("changed, and longer")
    assert read_standing(standing, WORDS, environ) is None


def test_a_file_that_the_command_line_names(
    standing: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "plan.lock").write_text("second")
    assert read_standing(standing, WORDS, environ) is None


def test_a_receipt_that_is_gone(standing: Path, environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "receipts" / "source.json").unlink()
    assert read_standing(standing, WORDS, environ) is None


@pytest.mark.parametrize("garbage", [b"", b"\0", b"{}", b"\xff\xfe", b"[1"])
def test_garbage(standing: Path, environ: dict[str, str], garbage: bytes) -> None:
    standing.write_bytes(garbage)
    assert read_standing(standing, WORDS, environ) is None


def test_it_is_of_one_command_line_in_one_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = standing_file(tmp_path, ["build", "--jobs", "1"])
    assert here == standing_file(tmp_path, ["build", "--jobs", "1"])
    others = {standing_file(tmp_path, ["build"]), standing_file(tmp_path, ["build", "--jobs 1"])}
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    others.add(standing_file(tmp_path, ["build", "--jobs", "1"]))
    assert len(others | {here}) == 4


def test_a_tree_that_vanished(standing: Path, environ: dict[str, str], tree: Path) -> None:
    kept = read_standing(standing, WORDS, environ)
    assert kept is not None
    keep_standing(standing, replace(kept, tree=str(tree / "gone")))
    assert read_standing(standing, WORDS, environ) is None
