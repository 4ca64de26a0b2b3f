"""Nothing of an archive lands outside its folder, and nothing half-made gets its name."""

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.archive import unpack_sdist

Add = Callable[[tarfile.TarFile], None]


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> Add:
    def add(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.mode = kind, link, mode
        info.size = 4 if kind == tarfile.REGTYPE else 0
        tar.addfile(info, io.BytesIO(b"evil"))

    return add


SYMLINK, HARDLINK = tarfile.SYMTYPE, tarfile.LNKTYPE

ESCAPES = {
    "parent": [member("../evil")],
    "parent in the middle": [member("top/../../evil")],
    "absolute": [member("/evil")],
    "absolute link": [member("top/a", SYMLINK, "/etc")],
    "link to the parent": [member("top/a", SYMLINK, "../..")],
    "hard link to the parent": [member("top/a", HARDLINK, "../evil")],
    "hard link, absolute": [member("top/a", HARDLINK, "/etc/passwd")],
    "through a link that leaves": [member("top/a", SYMLINK, "../.."), member("top/a/evil")],
    "through links that stay by their letters": [
        member("top/a", SYMLINK, "."),
        member("top/b", SYMLINK, "a/../.."),
        member("top/b/evil"),
    ],
    "below a link": [member("top/a", SYMLINK, "b"), member("top/a/evil")],
    "over a link": [member("top/a", SYMLINK, "b"), member("top/a")],
    "hard link to a link": [member("top/a", SYMLINK, "b"), member("top/c", HARDLINK, "top/a")],
    "link below, named first": [member("top/a/evil"), member("top/./a", SYMLINK, "b")],
    "device": [member("top/null", tarfile.CHRTYPE)],
    "fifo": [member("top/fifo", tarfile.FIFOTYPE)],
}


def pack(path: Path, *adds: Add) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for add in adds:
            add(tar)
    return path


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("adds", ESCAPES.values(), ids=ESCAPES)
def test_an_archive_that_would_escape_is_refused_whole(tmp_path: Path, adds: list[Add]) -> None:
    archive = pack(tmp_path / "a.tar.gz", member("top/good"), *adds)
    with pytest.raises(Problem, match=r"a\.tar\.gz is refused: its member") as caught:
        unpack_sdist(archive, tmp_path / "in" / "tree")
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert everything(tmp_path) == ["a.tar.gz", "in"]


@pytest.mark.parametrize(
    "adds",
    [[], [member("a/x"), member("b/x")], [member("file")]],
    ids=["empty", "two tops", "a file as top"],
)
def test_not_one_top_folder(tmp_path: Path, adds: list[Add]) -> None:
    with pytest.raises(Problem) as caught:
        unpack_sdist(pack(tmp_path / "a.tar.gz", *adds), tmp_path / "tree")
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert everything(tmp_path) == ["a.tar.gz"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_a_truncated_archive(tmp_path: Path, share: float) -> None:
    def noise(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo("top/noise")
        info.size = 100_000
        tar.addfile(info, io.BytesIO(os.urandom(info.size)))

    archive = pack(tmp_path / "a.tar.gz", member("top/good"), noise)
    whole = archive.read_bytes()
    archive.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(Problem, match=r"a\.tar\.gz is damaged") as caught:
        unpack_sdist(archive, tmp_path / "tree")
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert everything(tmp_path) == ["a.tar.gz"]


@pytest.mark.parametrize("content", [b"hello", b"\0" * 1000, b"\x1f\x8b" + b"\0" * 100])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(content)
    with pytest.raises(Problem, match="damaged"):
        unpack_sdist(tmp_path / "a.tar.gz", tmp_path / "tree")


def test_links_that_stay_are_kept_and_rights_are_tamed(tmp_path: Path) -> None:
    archive = pack(
        tmp_path / "a.tar.gz",
        member("top/run.sh", mode=0o6777),
        member("top/deep/file"),
        member("top/link", SYMLINK, "deep/file"),
        member("top/deep/up", SYMLINK, "../run.sh"),
        member("top/hard", HARDLINK, "top/run.sh", mode=0o755),
    )
    tree = tmp_path / "tree"
    unpack_sdist(archive, tree)
    assert (tree / "link").read_bytes() == b"evil"
    assert (tree / "deep" / "up").resolve() == tree / "run.sh"
    assert (tree / "run.sh").stat().st_mode & 0o7777 == 0o755
    assert (tree / "hard").stat().st_ino == (tree / "run.sh").stat().st_ino


def test_an_earlier_tree_and_a_half_one_give_way(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for folder in (tree, tmp_path / ".tree.half"):
        folder.mkdir()
        (folder / "old").touch()
    unpack_sdist(pack(tmp_path / "a.tar.gz", member("top/new")), tree)
    assert everything(tmp_path) == ["a.tar.gz", "tree", "tree/new"]
