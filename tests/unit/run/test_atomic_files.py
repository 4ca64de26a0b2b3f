"""A half-made thing is never mistaken for a whole one."""

import errno
import os
from pathlib import Path

import pytest

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.files import (
    DISK_FAULTS,
    disk_failed,
    made_atomically,
    make_home,
    sha256_of,
    write_atomically,
)


def test_all_of_it_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    write_atomically(path, "first")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_text() == "first"
    write_atomically(path, b"second")
    assert path.read_bytes() == b"second"
    assert path.stat().st_mode & 0o777 == 0o644
    assert [one.name for one in path.parent.iterdir()] == ["file"]


def test_a_folder_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "thing"
    with made_atomically(folder) as half:
        (half / "file").write_text("1")
        assert not folder.exists()
    assert (folder / "file").read_text() == "1"
    with made_atomically(folder) as half:
        (half / "other").touch()
    assert [path.name for path in folder.iterdir()] == ["other"]


def test_a_body_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "thing"
    folder.mkdir()
    (folder / "old").touch()
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            fail_in(folder, error)
    assert [path.name for path in tmp_path.iterdir()] == ["thing"]
    assert [path.name for path in folder.iterdir()] == ["old"]


def fail_in(folder: Path, error: type[BaseException]) -> None:
    with made_atomically(folder) as half:
        (half / "new").touch()
        raise error


def test_what_an_earlier_death_left_gives_way(tmp_path: Path) -> None:
    (tmp_path / ".thing.half").mkdir()
    (tmp_path / ".thing.half" / "old").touch()
    with made_atomically(tmp_path / "thing") as half:
        assert list(half.iterdir()) == []


def test_a_home_says_that_it_is_a_cache(tmp_path: Path) -> None:
    home = tmp_path / "a" / "home"
    make_home(home)
    make_home(home)
    tag = (home / "CACHEDIR.TAG").read_text()
    assert tag.startswith("Signature: 8a477f597d28d172789f06886806bc55\n")


def test_a_home_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Problem) as caught:
        make_home(tmp_path / "file" / "home")
    assert caught.value.exit_code is ExitCode.UNREACHABLE
    assert str(tmp_path / "file" / "home") in caught.value.message


def test_a_digest(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert sha256_of(tmp_path / "empty").startswith("e3b0c44298fc1c149afbf4c8996fb924")


@pytest.mark.parametrize("named", ["/home/forge/file", None])
def test_a_full_disk_is_named(named: str | None) -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), named)
    problem = disk_failed(error, Path("/home/forge"))
    place = named or "/home/forge"
    assert problem.message == f"{place} cannot be written: No space left on device"
    assert problem.exit_code is ExitCode.UNREACHABLE


def test_a_missing_file_is_no_fault_of_the_disk() -> None:
    assert errno.ENOENT not in DISK_FAULTS
