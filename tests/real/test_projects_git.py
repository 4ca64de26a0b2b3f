"""Real git over local repositories: one commit, needed submodules, mirrors, other commits."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from vllm_forge.records.home import Home
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.project import Ways
from vllm_forge.records.release import FetchedProject
from vllm_forge.run.doors import Doors
from vllm_forge.run.index import IndexSettings
from vllm_forge.run.network import Network
from vllm_forge.run.process import run_command
from vllm_forge.run.projects.obtain import obtain_project

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not here")
HOST = "https://code.invalid/"


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always")
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def repository(folder: Path, **files: str) -> str:
    """A repository with one commit of these files; its commit."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    for name, text in files.items():
        (folder / name).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=one")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A project with two submodules, as a mirror would have it: /mirror/org/NAME.git."""
    place = tmp_path / "mirror" / "org"
    repository(place / "cutlass.git", header="cutlass")
    repository(place / "composable_kernel.git", header="rocm")
    repository(place / "attention.git", kernel="first")
    for name in ("cutlass", "composable_kernel"):
        git(place / "attention.git", "submodule", "--quiet", "add", f"../{name}.git", name)
    (place / "attention.git" / ".gitmodules").write_text(
        "".join(
            f'[submodule "{name}"]\n\tpath = {name}\n\turl = {HOST}org/{name}.git\n'
            for name in ("cutlass", "composable_kernel")
        )
    )
    git(place / "attention.git", "add", "--all")
    git(place / "attention.git", "commit", "--quiet", "--message=submodules")
    git(place / "attention.git", "tag", "v2.0")
    (place / "attention.git" / "kernel").write_text("later")
    git(place / "attention.git", "commit", "--quiet", "--all", "--message=later")
    return tmp_path / "mirror"


@pytest.fixture
def doors(tmp_path: Path) -> Doors:
    return Doors(
        home=Home(tmp_path / "home"),
        settings=IndexSettings("file:///nowhere", "a test"),
        network=Network(offline=True),
        run=run_command,
        emit=lambda _event: None,
        environ={},
        offline=False,
    )


def attention(revision: str, submodules: tuple[str, ...] | None = None) -> FetchedProject:
    url = f"{HOST}org/attention.git"
    return FetchedProject("attention", url, revision, None, submodules, ("cuda",), "a.cmake:1")


def test_the_pinned_commit_comes_with_the_needed_submodules(mirror: Path, doors: Doors) -> None:
    pinned = git(mirror / "org/attention.git", "rev-parse", "v2.0")

    obtained = obtain_project(attention(pinned), Ways(git_mirror=str(mirror)), doors)

    folder = Path(obtained.folder)
    assert (obtained.revision, obtained.exact, obtained.origin) == (pinned, True, "git")
    assert (folder / "kernel").read_text() == "first"
    assert (folder / "cutlass/header").read_text() == "cutlass"
    assert not any((folder / "composable_kernel").iterdir())
    assert git(folder, "rev-list", "--count", "HEAD") == "1"

    shutil.rmtree(mirror)  # what was fetched needs the mirror no more
    assert obtain_project(attention(pinned), Ways(git_mirror=str(mirror)), doors) == obtained


def test_a_tag_and_no_submodules(mirror: Path, doors: Doors) -> None:
    obtained = obtain_project(attention("v2.0", ()), Ways(git_mirror=str(mirror)), doors)

    assert obtained.exact
    assert obtained.revision == git(mirror / "org/attention.git", "rev-parse", "v2.0")
    assert not any((Path(obtained.folder) / "cutlass").iterdir())


def test_a_commit_that_is_nowhere_says_the_other_ways(mirror: Path, doors: Doors) -> None:
    with pytest.raises(Problem, match="attention at 0000") as caught:
        obtain_project(attention("0" * 40), Ways(git_mirror=str(mirror)), doors)

    assert caught.value.exit_code is ExitCode.UNREACHABLE
    assert caught.value.hints[0] == "--project attention=DIR with a copy of it"
    assert not list((doors.home.path / "sources").glob("attention*"))


def test_offline_asks_nobody(mirror: Path, doors: Doors) -> None:
    with pytest.raises(Problem) as caught:
        obtain_project(
            attention("v2.0"), Ways(git_mirror=str(mirror)), replace(doors, offline=True)
        )
    assert "--offline: git was not asked" in caught.value.causes


def test_a_users_repository_at_another_commit_is_named(mirror: Path, doors: Doors) -> None:
    repo = mirror / "org/attention.git"
    pinned, head = git(repo, "rev-parse", "v2.0"), git(repo, "rev-parse", "HEAD")
    ways = Ways(folders={"attention": str(repo)})

    other = obtain_project(attention(pinned), ways, doors)
    same = obtain_project(attention(head), ways, doors)
    by_tag = obtain_project(attention("v2.0"), ways, doors)
    (repo / "kernel").write_text("edited")
    edited = obtain_project(attention(head), ways, doors)

    assert other.difference == f"{repo} is at {head}, {pinned} is pinned (a.cmake:1)"
    assert (same.exact, same.difference) == (True, None)
    assert not by_tag.exact
    assert edited.revision == f"{head[:12]} with changes"
