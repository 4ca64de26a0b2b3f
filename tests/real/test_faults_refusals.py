"""Machines that a build cannot work on are refused before anything is made, with a way out."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import vllm_forge
from vllm_forge.records.problem import ExitCode

if TYPE_CHECKING:
    from tests.support.program import Forge

MACHINE = Path(vllm_forge.__file__).parent / "data" / "machines" / "no-gpu.json"
GIB = 1 << 30

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")

Refuse = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture
def refuse(forge: "Forge", tmp_path: Path) -> Refuse:
    """Plan 0.10.1 for the recorded machine with some of it changed; the refusals by subject."""

    def plan(*words: str, **changes: object) -> dict[str, dict[str, Any]]:
        machine = tmp_path / "machine.json"
        machine.write_text(json.dumps({**json.loads(MACHINE.read_text()), **changes}))
        wish = ("--vllm", "0.10.1", "--device", "cpu")
        done = forge("plan", *wish, "--machine", machine, "--json", *words)
        document = json.loads(done.stdout)
        assert done.returncode == ExitCode.REFUSED, done.stderr
        assert (document["status"], document["steps"]) == ("refused", [])
        refusals = {refusal["subject"]: refusal for refusal in document["refusals"]}
        assert all(refusal["ways_out"] for refusal in refusals.values())
        return refusals

    return plan


def facts(refusal: dict[str, Any]) -> str:
    return "; ".join(reason["fact"] for reason in refusal["because"])


def compiler(version: str) -> dict[str, str]:
    return {"name": "g++", "version": version, "path": "/usr/bin/g++"}


def python(version: str) -> dict[str, object]:
    return {"version": version, "path": "/usr/bin/python3", "headers": True}


def test_a_python_outside_the_trees_range(refuse: Refuse) -> None:
    found = [python("3.13.1"), python("3.12.4"), python("3.8.2")]
    refusals = refuse("--python", "3.13", pythons=found)
    assert list(refusals) == ["python"]
    assert "3.13" in facts(refusals["python"])
    assert "<3.13,>=3.9" in facts(refusals["python"])
    assert refusals["python"]["ways_out"] == ["--python 3.12"]


def test_no_python_in_the_trees_range(refuse: Refuse) -> None:
    refusals = refuse(pythons=[python("3.13.1"), python("3.8.2")])
    assert "found: 3.8.2, 3.13.1" in facts(refusals["python"])
    assert refusals["python"]["ways_out"][0] == "uv python install 3.12"


@pytest.mark.parametrize(
    ("compilers", "found"),
    [
        ([], "no g++"),
        ([{"name": "clang++", "version": "19.1.0", "path": "/usr/bin/clang++"}], "no g++"),
        ([compiler("7.5.0")], "/usr/bin/g++ 7.5.0"),
    ],
    ids=["none", "another", "too old"],
)
def test_no_compiler_that_will_do(
    refuse: Refuse, compilers: list[dict[str, str]], found: str
) -> None:
    refusals = refuse(compilers=compilers)
    assert list(refusals) == ["compiler"]
    assert f"found: {found}" in facts(refusals["compiler"])
    assert "g++" in refusals["compiler"]["ways_out"][0]


def test_no_disk_space_is_told_with_the_numbers(refuse: Refuse) -> None:
    refusals = refuse(disk={"free_bytes": 3 * GIB})
    assert list(refusals) == ["disk"]
    assert "3.0 GiB are free" in facts(refusals["disk"])
    assert "takes up to 9 GiB" in facts(refusals["disk"])


def test_memory_for_not_one_compiler(refuse: Refuse) -> None:
    memory = {"total_bytes": 8 * GIB, "limit_bytes": GIB, "available_bytes": 7 * GIB}
    refusals = refuse(memory=memory)
    assert list(refusals) == ["jobs"]
    assert "1.0 GiB hold" in facts(refusals["jobs"])


def test_everything_that_is_wrong_is_said_at_once(refuse: Refuse) -> None:
    refusals = refuse(compilers=[], pythons=[], disk={"free_bytes": GIB})
    assert set(refusals) == {"compiler", "python", "disk"}


def test_a_person_reads_the_same(forge: "Forge", tmp_path: Path) -> None:
    machine = tmp_path / "machine.json"
    machine.write_text(json.dumps({**json.loads(MACHINE.read_text()), "compilers": []}))
    done = forge("plan", "--vllm", "0.10.1", "--device", "cpu", "--machine", machine)
    assert done.returncode == ExitCode.REFUSED
    told = done.stdout + done.stderr
    assert "refused: compiler" in told
    assert "way out: apt-get install g++" in told


@pytest.fixture
def tools_without_compiler(tmp_path: Path) -> Path:
    """A folder for PATH with what a build calls, and no compiler."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("apt-get", "dpkg-deb", "git", "setpriv", "sh", "cat", "python3"):
        found = shutil.which(name)
        if found is not None:
            (folder / name).symlink_to(found)
    return folder


def test_no_compiler_on_this_machine(
    forge: "Forge", tiny_tree: Path, tools_without_compiler: Path
) -> None:
    bare = forge.under(PATH=str(tools_without_compiler))
    done = bare("build", "--vllm", tiny_tree, "--device", "cpu")
    assert done.returncode == ExitCode.REFUSED, done.stderr
    assert "refused: compiler" in done.stderr
    assert "no g++" in done.stderr
    assert not (forge.home / "envs").exists()


def test_a_compiler_that_says_it_is_old(
    forge: "Forge", tiny_tree: Path, tools_without_compiler: Path
) -> None:
    old = tools_without_compiler / "g++"
    old.write_text('#!/bin/sh\necho "g++ (Ubuntu 7.5.0-3ubuntu1) 7.5.0"\n')
    old.chmod(0o755)
    bare = forge.under(PATH=str(tools_without_compiler))
    done = bare("build", "--vllm", tiny_tree, "--device", "cpu")
    assert done.returncode == ExitCode.REFUSED, done.stderr
    assert "7.5.0" in done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB."""
    yield from mounted(tmp_path / "small", "64m")


@pytest.fixture
def shrinking_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that looks large enough; memory is taken only for what is written."""
    yield from mounted(tmp_path / "shrinking", "12g")


def mounted(place: Path, size: str) -> Iterator[Path]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@needs_root
@pytest.mark.parametrize("wish", ["tree", "0.10.1"])
def test_a_small_disk_is_refused_before_anything_is_made(
    forge: "Forge", tiny_tree: Path, small_disk: Path, wish: str
) -> None:
    vllm = tiny_tree if wish == "tree" else wish
    done = forge("build", "--vllm", vllm, "--device", "cpu", "--home", small_disk)
    assert done.returncode == ExitCode.REFUSED, done.stderr
    assert "refused: disk" in done.stderr
    assert "0.1 GiB are free" in done.stderr
    rooms = {path.name for path in small_disk.iterdir() if path.is_dir()}
    assert rooms == set()


@needs_root
@pytest.mark.network
@pytest.mark.slow
def test_a_disk_that_fills_up_is_told_as_such(
    forge: "Forge", tiny_tree: Path, shrinking_disk: Path
) -> None:
    build = forge.start("build", "--vllm", tiny_tree, "--device", "cpu", "--home", shrinking_disk)
    build.wait_for("[environment] ")
    subprocess.run(["mount", "-o", "remount,size=48m", shrinking_disk], check=True)
    assert build.wait() == ExitCode.UNREACHABLE, build.said
    assert "[environment] failed: " in build.said
    assert "No space left on device" in build.said
    assert not list(shrinking_disk.glob("receipts/*/environment.json"))


@needs_root
@pytest.mark.parametrize(
    "words", [("plan", "--vllm", "latest"), ("build", "--vllm", "0.10.1", "--device", "cpu")]
)
def test_no_network(forge: "Forge", words: tuple[str, ...]) -> None:
    done = forge.under("unshare", "--net")(*words)
    assert done.returncode == ExitCode.UNREACHABLE, done.stderr
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "cannot be reached" in errors[0] or "could not fetch" in errors[0]


def test_a_home_that_may_not_be_written(forge: "Forge", tmp_path: Path) -> None:
    locked = tmp_path / "theirs"
    locked.mkdir(mode=0o555)
    stripped = forge
    if os.geteuid() == 0:  # root without its right to write everywhere, and a folder of another's
        os.chown(locked, 65534, 65534)
        caps = "-dac_override,-dac_read_search"
        stripped = forge.under("setpriv", f"--bounding-set={caps}", f"--inh-caps={caps}")
    for home in (locked, locked / "deep" / "home"):
        done = stripped("plan", "--vllm", "0.10.1", "--device", "cpu", "--home", home)
        assert done.returncode == ExitCode.UNREACHABLE, done.stderr
        assert done.stderr.splitlines()[0] == f"error: {home} cannot be written: Permission denied"
        assert "hint: choose another folder with --home DIR" in done.stderr


def test_a_home_that_is_a_file(forge: "Forge", tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = forge("plan", "--vllm", "0.10.1", "--device", "cpu", "--home", tmp_path / "file")
    assert done.returncode == ExitCode.UNREACHABLE, done.stderr
    assert f"error: {tmp_path / 'file'} cannot be written" in done.stderr
