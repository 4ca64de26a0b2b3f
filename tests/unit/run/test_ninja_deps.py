"""Ninja's own record of what was read, as ninja writes it."""

import struct
import subprocess
from pathlib import Path

import pytest

from vllm_forge.run.ninja_deps import SIGNATURE, Deps, parse_ninja_deps, read_ninja_deps
from vllm_forge.run.tools import tool

MOMENT = 1_795_651_953_123_456_789
HEAD = SIGNATURE + struct.pack("<I", 4)


def path(name: str, number: int) -> bytes:
    padded = name.encode() + b"\0" * (-len(name) % 4)
    return struct.pack("<I", len(padded) + 4) + padded + struct.pack("<i", ~number)


def reads(*numbers: int) -> bytes:
    time = (MOMENT & 0xFFFFFFFF, MOMENT >> 32)
    words = struct.pack(f"<{len(numbers) + 2}I", numbers[0], *time, *numbers[1:])
    return struct.pack("<I", len(words) | 1 << 31) + words


LOG = path("a.o", 0) + path("a.cpp", 1) + path("a.h", 2) + reads(0, 1) + reads(0, 1, 2)


def test_the_last_record_of_an_output_counts() -> None:
    assert parse_ninja_deps(HEAD + LOG) == {"a.o": (MOMENT, ("a.cpp", "a.h"))}


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_half_written_record_is_dropped(cut: int) -> None:
    assert parse_ninja_deps((HEAD + LOG)[:-cut]) == {"a.o": (MOMENT, ("a.cpp",))}


@pytest.mark.parametrize("data", [b"", b"# ninja", SIGNATURE, SIGNATURE + struct.pack("<I", 9)])
def test_another_file_or_version_says_nothing(data: bytes) -> None:
    assert parse_ninja_deps(data) == {}


def test_a_number_without_a_path_ends_the_reading() -> None:
    assert parse_ninja_deps(HEAD + LOG + reads(0, 9)) == {"a.o": (MOMENT, ("a.cpp", "a.h"))}


@pytest.mark.compile
def test_as_ninja_itself_reads_it(tmp_path: Path) -> None:
    """With a header behind a link, as a compiler cache names it."""
    for name in ("tree", "build/forge"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "build" / "forge" / "tree").symlink_to(tmp_path / "tree")
    (tmp_path / "tree" / "a.h").touch()
    (tmp_path / "build" / "near.h").touch()
    said = f"a.o: forge/tree/a.h near.h {tmp_path}/tree/a.h"
    (tmp_path / "build" / "build.ninja").write_text(
        "rule cc\n  command = touch $out && echo '" + said + "' > $out.d\n"
        "  depfile = $out.d\n  deps = gcc\nbuild a.o: cc\n"
    )
    ninja: list[str | Path] = [tool("ninja"), "-C", tmp_path / "build"]
    subprocess.run(ninja, check=True, capture_output=True)
    told = subprocess.run([*ninja, "-t", "deps"], check=True, capture_output=True, text=True)
    found = read_ninja_deps(tmp_path / "build")
    header = str(tmp_path / "tree" / "a.h")
    files = (header, str(tmp_path / "build" / "near.h"), header)
    assert found == {"a.o": Deps(files, valid=True)}
    assert told.stdout.count("a.h") == 2
    assert read_ninja_deps(tmp_path) == {}


@pytest.mark.compile
@pytest.mark.parametrize("meanwhile", ["gone", "written", "made again"])
def test_a_record_that_ninja_itself_calls_stale(tmp_path: Path, meanwhile: str) -> None:
    (tmp_path / "build.ninja").write_text(
        "rule cc\n  command = touch $out && echo 'a.o: a.h' > $out.d\n"
        "  depfile = $out.d\n  deps = gcc\nbuild a.o: cc\n"
    )
    (tmp_path / "a.h").touch()
    ninja: list[str | Path] = [tool("ninja"), "-C", tmp_path]
    subprocess.run(ninja, check=True, capture_output=True)
    assert read_ninja_deps(tmp_path)["a.o"].valid
    (tmp_path / "a.o").unlink()
    if meanwhile == "written":
        (tmp_path / "a.o").touch()
    elif meanwhile == "made again":
        subprocess.run(ninja, check=True, capture_output=True)
    told = subprocess.run([*ninja, "-t", "deps"], check=True, capture_output=True, text=True)
    assert ("VALID" in told.stdout) is (meanwhile == "made again")
    assert read_ninja_deps(tmp_path)["a.o"].valid is (meanwhile == "made again")
