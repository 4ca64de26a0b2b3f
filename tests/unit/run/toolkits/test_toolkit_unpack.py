"""Packages unpacked into a prefix: whole, damaged, hostile, and on a full disk."""

import io
import random
import resource
import tarfile
from pathlib import Path

import pytest

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.toolkits.layout import place_of_debian, place_of_nvidia
from vllm_forge.run.toolkits.unpack import move_needed, unpack_deb, unpack_tar_xz

RANDOM = random.Random(1).randbytes(9999)  # noqa: S311 -- what xz cannot make smaller


def file(name: str, data: bytes = b"data", mode: int = 0o644) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), mode
    return member, data


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def tar_xz(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:xz") as tar:
        for member, data in members:
            tar.addfile(member, io.BytesIO(data))
    return written.getvalue()


def deb(data: bytes) -> bytes:
    """An ar archive as dpkg-deb writes it."""
    parts = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": data}
    packed = b"!<arch>\n"
    for name, content in parts.items():
        packed += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        packed += content + b"\n" * (len(content) % 2)
    return packed


def test_a_deb_lands_as_a_prefix(tmp_path: Path) -> None:
    package = tmp_path / "a.deb"
    package.write_bytes(
        deb(
            tar_xz(
                file("./usr/lib/nvidia-cuda-toolkit/bin/nvcc", b"\x7fELF", 0o4755),
                file("./usr/lib/x86_64-linux-gnu/libcudart.so.12.4.127", b"so"),
                link("./usr/lib/x86_64-linux-gnu/libcudart.so", "libcudart.so.12.4.127"),
                file("./usr/lib/x86_64-linux-gnu/libcublas_static.a", b"0" * 9999),
            )
        )
    )
    prefix = tmp_path / "prefix"

    unpack_deb(package, prefix, place_of_debian)

    assert sorted(str(path.relative_to(prefix)) for path in prefix.rglob("*.*")) == [
        "lib64/libcudart.so",
        "lib64/libcudart.so.12.4.127",
    ]
    assert (prefix / "bin/nvcc").stat().st_mode & 0o7777 == 0o755
    assert (prefix / "lib64/libcudart.so").read_bytes() == b"so"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not a package", "not an ar archive"),
        (deb(tar_xz(file("./usr/bin/ptxas", RANDOM)))[:-5000], "a.deb is damaged"),
        (deb(b"\xfd7zXZ\x00" + b"0" * 40), "a.deb is damaged"),
        (b"!<arch>\n" + b"x" * 60, "ar header is damaged"),
        (b"!<arch>\n", "no data.tar"),
    ],
)
def test_a_damaged_deb_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    package = tmp_path / "a.deb"
    package.write_bytes(content)

    with pytest.raises(Problem, match=said) as caught:
        unpack_deb(package, tmp_path / "prefix", place_of_debian)

    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert "a.deb" in caught.value.message


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (file("a/b/c/include/../../../evil"), "would land outside"),
        (file("../include/evil"), "would land outside"),
        (link("a/include/x", "../../../etc/passwd"), "links to another folder"),
        (link("a/include/x", "/etc/passwd"), "links to another folder"),
        (link("a/include/x", "a/include/y", tarfile.LNKTYPE), "is a hard link"),
        (link("a/include/x", "", tarfile.FIFOTYPE), "is neither file, folder nor link"),
    ],
)
def test_a_hostile_member_refuses_the_archive(
    tmp_path: Path, member: tuple[tarfile.TarInfo, bytes], said: str
) -> None:
    archive = tmp_path / "a.tar.xz"
    archive.write_bytes(tar_xz(member))

    with pytest.raises(Problem, match=said) as caught:
        unpack_tar_xz(archive, tmp_path / "prefix", place_of_nvidia)

    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path != archive]


def test_one_place_twice_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.xz"
    archive.write_bytes(tar_xz(file("a/lib/libcudadevrt.a"), file("a/lib64/libcudadevrt.a")))

    with pytest.raises(Problem, match="a second time"):
        unpack_tar_xz(archive, tmp_path / "prefix", place_of_nvidia)


def test_a_full_disk_is_told_apart_from_a_damaged_archive(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.xz"
    archive.write_bytes(tar_xz(file("a/include/large.h", b"0" * 100_000)))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(Problem, match="could not be written") as caught:
            unpack_tar_xz(archive, tmp_path / "prefix", place_of_nvidia)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert caught.value.exit_code is ExitCode.UNREACHABLE


def test_needed_files_of_a_tree_are_moved(tmp_path: Path) -> None:
    tree = tmp_path / "tree" / "nvidia" / "cu13"
    for name in ("bin/nvcc", "include/cublas_v2.h", "lib/libcublas.so.13", "lib/libcudart.so.13"):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(name)

    move_needed(tmp_path / "tree", tmp_path / "prefix", place_of_nvidia)

    moved = [path for path in (tmp_path / "prefix").rglob("*") if path.is_file()]
    assert sorted(str(path.relative_to(tmp_path / "prefix")) for path in moved) == [
        "bin/nvcc",
        "include/cublas_v2.h",
        "lib64/libcudart.so.13",
    ]
