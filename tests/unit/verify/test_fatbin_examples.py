"""Recorded fat binaries, beside what cuobjdump says of each; README.md there has their making."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vllm_forge.records.binary import CodeKind, GpuCode
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.verify.fatbin import parse_gpu_code, read_gpu_code

EXAMPLES = Path(__file__).parents[2] / "data" / "fatbin"
BINARIES = sorted([*EXAMPLES.glob("*.fatbin"), *EXAMPLES.glob("*.o")])
KERNELS = ("_Z3addILi3EEvPf", "scale")

Said = tuple[str, str, int, bool, bool]


def parse_cuobjdump(text: str) -> list[Said]:
    """Kind, architecture, bits, compressed, debug of each entry."""
    entries = re.split(r"^Fatbin (?=\w+ code:)", text, flags=re.MULTILINE)[1:]
    return [
        (
            entry.split()[0],
            re.findall(r"^arch = sm_(\w+)$", entry, re.MULTILINE)[0],
            int(re.findall(r"^compile_size = (\d+)bit$", entry, re.MULTILINE)[0]),
            "\ncompressed\n" in entry,
            "\nhas debug info\n" in entry,
        )
        for entry in entries
    ]


def summary(code: GpuCode) -> Said:
    return (
        code.kind.value,
        code.architecture,
        code.bits,
        code.compression is not None,
        code.debug,
    )


@pytest.mark.parametrize("binary", BINARIES, ids=lambda path: path.name)
def test_the_same_as_cuobjdump(binary: Path) -> None:
    said = parse_cuobjdump((EXAMPLES / f"{binary.stem}.cuobjdump.txt").read_text())
    assert said
    assert [summary(code) for code in read_gpu_code(binary)] == said


@pytest.mark.parametrize("name", ["plain.fatbin", "lz4.fatbin"])
def test_kernels_are_named(name: str) -> None:
    codes = read_gpu_code(EXAMPLES / name, kernels=True)
    found = {code.kernels for code in codes if code.kind is CodeKind.ELF}
    assert found == {KERNELS}
    assert {code.kernels for code in codes if code.kind is CodeKind.PTX} == {None}


def test_kernels_beneath_zstd_stay_unknown() -> None:
    codes = read_gpu_code(EXAMPLES / "zstd.fatbin", kernels=True)
    assert {code.compression for code in codes} == {"zstd"}
    assert {code.kernels for code in codes} == {None}


def test_one_container_for_each_source() -> None:
    codes = read_gpu_code(EXAMPLES / "two-sources.o")
    assert [(code.architecture, code.container) for code in codes] == [
        ("80", 0),
        ("90a", 1),
        ("90a", 1),
    ]


def test_an_extension_without_gpu_code_has_none() -> None:
    assert read_gpu_code(EXAMPLES.parent / "elf" / "_demo.abi3.so") == ()


def test_neither_elf_nor_fat_binary(tmp_path: Path) -> None:
    (tmp_path / "text.so").write_text("hello")
    with pytest.raises(Problem, match=r"text\.so is not a readable ELF") as caught:
        read_gpu_code(tmp_path / "text.so")
    assert caught.value.exit_code is ExitCode.BAD_INPUT


@pytest.mark.parametrize("binary", BINARIES, ids=lambda path: path.name)
@settings(max_examples=40)
@given(data=st.data())
def test_damage_is_a_problem_and_nothing_else(binary: Path, data: st.DataObject) -> None:
    whole = bytearray(binary.read_bytes())
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    kept = data.draw(st.integers(place, len(whole)))
    problem = told(lambda: parse_gpu_code(io.BytesIO(whole[:kept]), binary.name, kernels=True))
    assert problem is None or problem.exit_code is ExitCode.BAD_INPUT


def told(read: Callable[[], object]) -> Problem | None:
    try:
        read()
    except Problem as problem:
        return problem
    return None
