import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from tests.support.wheels import make_wheel
from vllm_forge.records.binary import TorchAbi
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.verify.wheel import (
    find_requirement,
    open_wheel,
    parse_wheel,
    read_remote_wheel,
    read_wheel,
)

DEMO = Path(__file__).parents[2] / "data" / "elf" / "_demo.abi3.so"
NAME = "demo-1.0-cp38-abi3-manylinux_2_28_x86_64.whl"
MEMBERS = {"demo/_demo.abi3.so": DEMO.read_bytes(), "demo/__init__.py": b"", "demo/big": bytes(9)}


def test_facts_of_a_wheel(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(make_wheel(MEMBERS))
    facts = read_wheel(tmp_path / NAME)
    assert (facts.name, facts.version) == ("demo", "1.0")
    assert facts.tags == ("cp38-abi3-manylinux_2_28_x86_64",)
    assert facts.requires_torch == "torch==2.7.1"
    (extension,) = facts.extensions
    assert extension.name == "demo/_demo.abi3.so"
    assert extension.size == DEMO.stat().st_size
    assert extension.torch_abi is TorchAbi.CXX
    assert [operator.name for operator in extension.operators] == ["scaled_add", "add", "swap"]


def test_a_remote_wheel_is_read_in_ranges() -> None:
    whole = make_wheel({"large": bytes(range(256)) * 40_000, **MEMBERS})
    asked: list[tuple[int, int]] = []

    def read_url(
        url: str, *, accept: str | None = None, start: int | None = None, stop: int | None = None
    ) -> bytes:
        assert url.endswith(NAME)
        assert accept is None
        assert start is not None
        assert stop is not None
        asked.append((start, stop))
        return whole[start:stop]

    facts = read_remote_wheel(f"https://index.test/{NAME}", len(whole), read_url)
    assert facts.extensions == parse_wheel(io.BytesIO(whole), NAME).extensions
    assert asked


def test_a_member_that_is_not_there_names_the_nearest() -> None:
    with (
        open_wheel(io.BytesIO(make_wheel(MEMBERS)), NAME) as wheel,
        pytest.raises(Problem, match=r"has no demo/_demo\.so") as caught,
    ):
        wheel.copy("demo/_demo.so", io.BytesIO())
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert "it has demo/_demo.abi3.so" in caught.value.causes


def test_a_member_comes_out_whole_with_its_hash() -> None:
    output = io.BytesIO()
    with open_wheel(io.BytesIO(make_wheel(MEMBERS)), NAME) as wheel:
        digest = wheel.copy("demo/_demo.abi3.so", output)
    assert output.getvalue() == DEMO.read_bytes()
    assert digest == hashlib.sha256(DEMO.read_bytes()).hexdigest()


def test_a_member_that_record_disowns_is_refused() -> None:
    packed = make_wheel(MEMBERS, recorded={"demo/_demo.abi3.so": b"another"})
    with (
        open_wheel(io.BytesIO(packed), NAME) as wheel,
        pytest.raises(Problem, match="not what the wheel's RECORD says"),
    ):
        wheel.copy("demo/_demo.abi3.so", io.BytesIO())


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04 not a zip", make_wheel(MEMBERS)[:-30]],
    ids=["empty", "text", "cut"],
)
def test_what_is_no_wheel_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / NAME).write_bytes(content)
    with pytest.raises(Problem, match=NAME) as caught:
        read_wheel(tmp_path / NAME)
    assert caught.value.exit_code is ExitCode.BAD_INPUT


def test_a_zip_without_metadata_is_no_wheel() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "a")
    with pytest.raises(Problem, match="it is no wheel"):
        parse_wheel(packed, NAME)


def test_a_damaged_member_is_a_problem() -> None:
    whole = bytearray(make_wheel({"demo/_demo.abi3.so": DEMO.read_bytes()}))
    whole[200:260] = bytes(60)
    with pytest.raises(Problem, match=NAME):
        parse_wheel(io.BytesIO(whole), NAME)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["torchvision==1", "torch == 2.7.1 ; platform_system == 'Linux'"], "torch==2.7.1"),
        (["torch>=2 ; extra == 'all'"], None),
        (["not a requirement !", "numpy"], None),
    ],
)
def test_the_torch_it_requires(lines: list[str], found: str | None) -> None:
    assert find_requirement(lines, "torch") == found
