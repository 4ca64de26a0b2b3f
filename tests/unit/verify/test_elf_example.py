"""A recorded extension; tests/data/elf/demo.cpp has its source and its making."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vllm_forge.records.binary import BinaryFacts, CxxAbi, Operator, TorchAbi, UndefinedSymbol
from vllm_forge.records.check import CheckStatus
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.verify.binary import parse_binary, read_binary
from vllm_forge.verify.elf import read_defined_versions, read_exports, read_extension
from vllm_forge.verify.operators import prove_operators, read_operators

DEMO = Path(__file__).parents[2] / "data" / "elf" / "_demo.abi3.so"

OPERATORS = (
    Operator("_demo", "scaled_add", "scaled_add(Tensor! out, Tensor a, float scale) -> ()", "*"),
    Operator("_demo", "add", "add(Tensor a, Tensor b) -> Tensor", "CUDA"),
    Operator("_demo_cache", "swap", "swap(Tensor a) -> ()", None),
)


def test_what_the_loader_would_ask() -> None:
    extension = read_extension(DEMO)
    assert extension.machine == "x86_64"
    assert extension.module == "_demo"
    assert extension.abi3
    assert extension.needed[0] == "libc10.so"
    assert extension.runpath == ("$ORIGIN/lib",)
    assert extension.rpath == ()
    assert extension.floors == {
        "GLIBC": "2.2.5",
        "GLIBCXX": "3.4.21",
        "CXXABI": "1.3",
        "GCC": "3.0",
    }
    undefined = {symbol.name: symbol for symbol in extension.undefined}
    assert undefined["getenv"] == UndefinedSymbol("getenv", "GLIBC_2.2.5", "libc.so.6")
    assert undefined["maybe"] == UndefinedSymbol("maybe", weak=True)
    assert undefined["PyModule_Create2"] == UndefinedSymbol("PyModule_Create2")
    assert "PyInit__demo" not in undefined


def test_what_it_offers() -> None:
    assert read_exports(DEMO) == {"PyInit__demo"}
    assert read_defined_versions(DEMO) == frozenset()


def test_operators_with_their_namespaces() -> None:
    assert read_operators(DEMO) == OPERATORS


def test_facts_for_inspect() -> None:
    assert read_binary(DEMO) == BinaryFacts(
        name=str(DEMO),
        size=DEMO.stat().st_size,
        machine="x86_64",
        module="_demo",
        abi3=True,
        torch_abi=TorchAbi.CXX,
        cxx_abi=CxxAbi.NEW,
        torch_symbols=3,
        needed=read_extension(DEMO).needed,
        floors=read_extension(DEMO).floors,
        architectures=(),
        ptx=(),
        sources=0,
        covered={},
        operators=OPERATORS,
    )


def test_a_missing_operator_fails_and_a_bare_definition_is_told() -> None:
    assert prove_operators("_demo.so", OPERATORS, ["_demo::add"]).status is CheckStatus.PASSED
    check = prove_operators("_demo.so", OPERATORS, ["_demo::add", "_demo::mul", "_C::add"])
    assert check.status is CheckStatus.FAILED
    assert check.detail == "2 of 3 operators are not in it"
    assert check.evidence == (
        "_demo::mul",
        "_C::add",
        "_demo_cache::swap: defined, no implementation registered apart from it",
    )


def test_a_stripped_file_is_judged_by_names_alone() -> None:
    stripped = [Operator(None, "add", "add(Tensor a) -> Tensor", None)]
    assert prove_operators("_C.so", stripped, ["_C::add"]).status is CheckStatus.PASSED
    assert prove_operators("_C.so", stripped, ["_C::mul"]).status is CheckStatus.FAILED
    assert prove_operators("_C.so", (), ["_C::mul"]).status is CheckStatus.SKIPPED


@pytest.mark.parametrize("content", [b"", b"hello", b"\x7fELF", b"\x7fELF\x01\x01\x01" + bytes(99)])
def test_what_is_no_shared_object_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.so"
    path.write_bytes(content)
    with pytest.raises(Problem, match=r"broken\.so") as caught:
        read_extension(path)
    assert caught.value.exit_code is ExitCode.BAD_INPUT


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"gone\.so cannot be read"):
        read_extension(tmp_path / "gone.so")


@settings(max_examples=40)
@given(data=st.data())
def test_damage_is_a_problem_and_nothing_else(data: st.DataObject) -> None:
    whole = bytearray(DEMO.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    kept = data.draw(st.integers(0, len(whole)))
    problem = told(lambda: parse_binary(io.BytesIO(whole[:kept]), "damaged.so"))
    assert problem is None or problem.exit_code is ExitCode.BAD_INPUT


def told(read: Callable[[], object]) -> Problem | None:
    try:
        read()
    except Problem as problem:
        return problem
    return None
