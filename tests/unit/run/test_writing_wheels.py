"""A wheel that installers accept, the same bytes for the same members."""

import csv
import hashlib
import io
import zipfile
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from installer.sources import WheelFile
from packaging.metadata import Metadata

from vllm_forge.release import read_release
from vllm_forge.run.register import read_metadata, write_version
from vllm_forge.run.wheel import WheelMetadata, write_wheel

METADATA = WheelMetadata(
    name="vllm",
    version="0.0.1+cpu",
    summary="tiny",
    requires_python=">=3.9",
    requires_dist=("torch==2.6.0", 'numba==0.61.2; python_version > "3.9"'),
    entry_points={"console_scripts": {"vllm": "vllm:main"}},
    tag="cp38-abi3-linux_x86_64",
)
TINY = Path(__file__).parents[2] / "trees" / "tiny"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    extension = tmp_path / "_C.abi3.so"
    extension.write_bytes(b"\x7fELF")
    members: list[tuple[str, Path | bytes]] = [
        ("vllm/__init__.py", b"x = 1\n"),
        ("vllm/_C.abi3.so", extension),
        ("vllm/a,b", b""),
    ]
    return write_wheel(tmp_path / "wheels", METADATA, members)


def test_its_name_and_nothing_beside_it(wheel: Path) -> None:
    assert [path.name for path in wheel.parent.iterdir()] == [
        "vllm-0.0.1+cpu-cp38-abi3-linux_x86_64.whl"
    ]


def test_the_record_is_right(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        record = archive.read("vllm-0.0.1+cpu.dist-info/RECORD").decode()
        rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(record))}
        assert set(rows) == set(archive.namelist())
        assert rows.pop("vllm-0.0.1+cpu.dist-info/RECORD") == ["", ""]
        for name, (digest, size) in rows.items():
            data = archive.read(name)
            hashed = urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert (digest, size) == (f"sha256={hashed}", str(len(data)))
    with WheelFile.open(wheel) as source:
        source.validate_record()


def test_the_metadata_is_right(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        folder = "vllm-0.0.1+cpu.dist-info"
        metadata = Metadata.from_email(archive.read(f"{folder}/METADATA"))
        assert str(metadata.version) == "0.0.1+cpu"
        assert [str(one) for one in metadata.requires_dist or ()] == list(METADATA.requires_dist)
        assert "Tag: cp38-abi3-linux_x86_64\n" in archive.read(f"{folder}/WHEEL").decode()
        scripts = archive.read(f"{folder}/entry_points.txt").decode()
        assert scripts.startswith("[console_scripts]\nvllm = vllm:main\n")
        modes = {one.filename: one.external_attr >> 16 for one in archive.infolist()}
    assert modes["vllm/_C.abi3.so"] == 0o755
    assert modes["vllm/__init__.py"] == 0o644


def test_the_same_members_make_the_same_wheel(tmp_path: Path) -> None:
    members = [("vllm/__init__.py", b"x = 1\n")]
    first = write_wheel(tmp_path / "a", METADATA, members).read_bytes()
    assert write_wheel(tmp_path / "b", METADATA, members).read_bytes() == first


def test_metadata_of_a_tree() -> None:
    metadata = read_metadata(TINY, "0.0.1+cpu", ("torch==2.6.0",), tag="py3-none-any")
    assert metadata.name == "vllm"
    assert metadata.summary == "A tiny tree in the shape of vLLM's, to build in seconds"
    assert metadata.entry_points == {"console_scripts": {"vllm": "vllm:main"}}


@pytest.mark.parametrize(
    ("version", "source", "numbers"),
    [
        ("0.10.1+cpu", "0.10.1", (0, 10, 1, "cpu")),
        ("0.10.1+cu124", "0.10.1", (0, 10, 1, "cu124")),
        ("0.10.2.dev3+gabc.cpu", "0.10.2.dev3+gabc", (0, 10, 2, "dev3", "gabc", "cpu")),
        ("0.10.1", "0.10.1", (0, 10, 1)),
    ],
)
def test_the_version_file_says_both(
    tmp_path: Path, version: str, source: str, numbers: tuple[object, ...]
) -> None:
    (tmp_path / "vllm").mkdir()
    write_version(tmp_path, version)
    said: dict[str, object] = {}
    exec((tmp_path / "vllm" / "_version.py").read_text(), said)  # noqa: S102 -- written just now
    assert said["__version__"] == said["version"] == version
    assert said["source_version"] == source
    assert said["__version_tuple__"] == numbers
    before = (tmp_path / "vllm" / "_version.py").stat().st_mtime_ns
    write_version(tmp_path, version)
    assert (tmp_path / "vllm" / "_version.py").stat().st_mtime_ns == before


def test_a_built_tree_is_still_of_its_own_version(tmp_path: Path, tiny_tree: Path) -> None:
    assert tmp_path in tiny_tree.parents
    before = read_release(tiny_tree).version.value
    write_version(tiny_tree, f"{before}+cpu")
    assert read_release(tiny_tree).version.value == before
