"""The version of a checkout, told by a real git."""

import subprocess
from pathlib import Path

from vllm_forge.run.git_version import read_git_version
from vllm_forge.run.process import run_command

AUTHOR = ("-c", "user.name=forge", "-c", "user.email=forge@example.invalid")


def git(tree: Path, *words: str) -> None:
    subprocess.run(["git", "-C", tree, *AUTHOR, *words], check=True, capture_output=True)


def commit(tree: Path, message: str) -> None:
    git(tree, "commit", "--quiet", "--allow-empty", "-m", message)


def test_a_tag_is_the_version_and_commits_after_it_a_development_version(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "first")
    git(tmp_path, "tag", "v0.10.1")
    assert read_git_version(tmp_path, None, run_command).value == "0.10.1"
    commit(tmp_path, "second")
    after = read_git_version(tmp_path, None, run_command).value
    assert after is not None
    assert after.startswith("0.10.2.dev1+g")


def test_without_tags_the_ref_counts_and_then_the_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "first")
    assert read_git_version(tmp_path, "v0.11.0", run_command).value == "0.11.0"
    told = read_git_version(tmp_path, "main", run_command).value
    assert told is not None
    assert told.startswith("0.1.dev0+g")


def test_no_checkout_at_all_is_unknown(tmp_path: Path) -> None:
    known = read_git_version(tmp_path, "main", run_command)
    assert known.value is None
    assert "git" in known.source
