from pathlib import Path

import pytest

from vllm_forge.records.binary import (
    CxxAbi,
    Extension,
    Mismatch,
    TorchAbi,
    UndefinedSymbol,
    Unresolved,
)
from vllm_forge.verify.elf import version_floors
from vllm_forge.verify.symbols import library_stem, owner_of, render_cause, resolve
from vllm_forge.verify.torch_abi import judge_cxx_abi, judge_torch_abi, without_identifiers


def extension(*undefined: UndefinedSymbol) -> Extension:
    return Extension(
        path="_C.abi3.so",
        machine="x86_64",
        needed=(),
        rpath=(),
        runpath=(),
        undefined=undefined,
        module="_C",
        abi3=True,
        floors={},
    )


@pytest.mark.parametrize(
    ("symbol", "owner"),
    [
        (UndefinedSymbol("memcpy", "GLIBC_2.14", "libc.so.6"), "libc"),
        (UndefinedSymbol("cudaMalloc", "libcudart.so.12", "libcudart.so.12"), "libcudart"),
        (UndefinedSymbol("cudaMalloc"), "libcudart"),
        (UndefinedSymbol("cuTensorMapEncodeTiled"), "libcuda"),
        (UndefinedSymbol("cublasHgemm"), "libcublas"),
        (UndefinedSymbol("cublasLtMatmul"), "libcublasLt"),
        (UndefinedSymbol("PyModule_Create2"), "libpython"),
        (UndefinedSymbol("_Py_NoneStruct"), "libpython"),
        (UndefinedSymbol("GOMP_parallel"), "libgomp"),
        (UndefinedSymbol("_ZNSt13runtime_errorC1EPKc"), "libstdc++"),
        (UndefinedSymbol("_ZdlPvm"), "libstdc++"),
        (UndefinedSymbol("_ZTISt9exception"), "libstdc++"),
        (UndefinedSymbol("_ZN3c105ErrorC1Ev"), None),
        (UndefinedSymbol("_ZNSt6vectorIN2at6TensorESaIS1_EED1Ev"), None),
        (UndefinedSymbol("aoti_torch_get_dim"), None),
        (UndefinedSymbol("pylons"), None),
    ],
)
def test_whose_a_symbol_is(symbol: UndefinedSymbol, owner: str | None) -> None:
    assert owner_of(symbol) == owner


@pytest.mark.parametrize(
    ("file", "stem"),
    [
        ("libc.so.6", "libc"),
        ("libc10.so", "libc10"),
        ("libc10_cuda.so", "libc10_cuda"),
        ("libgomp-a34b3233.so.1", "libgomp"),
        ("libstdc++.so.6.0.30", "libstdc++"),
        ("libpython3.11.so.1.0", "libpython"),
        ("ld-linux-x86-64.so.2", "ld-linux-x86-64"),
    ],
)
def test_library_stems(file: str, stem: str) -> None:
    assert library_stem(file) == stem


def test_what_is_not_exported_by_a_given_library_is_missing() -> None:
    asked = extension(
        UndefinedSymbol("_ZN3c105ErrorC1Ev"),
        UndefinedSymbol("_ZN3c104goneEv"),
        UndefinedSymbol("strlen", "GLIBC_2.2.5", "libc.so.6"),
        UndefinedSymbol("getenv", "GLIBC_2.2.5", "libc.so.6"),
        UndefinedSymbol("cudaMalloc"),
        UndefinedSymbol("__gmon_start__", weak=True),
    )
    exported = frozenset({"_ZN3c105ErrorC1Ev", "strlen"})
    without_libc = resolve(asked, [Path("torch/lib/libc10.so")], exported)
    assert without_libc.missing == ("_ZN3c104goneEv",)
    assert without_libc.unjudged == {"libc": 1, "libcudart": 1}
    assert without_libc.found == 2
    with_libc = resolve(asked, [Path("libc10.so"), Path("/lib/libc.so.6")], exported)
    assert with_libc.missing == ("_ZN3c104goneEv", "getenv")


def test_the_cause_names_the_abi_of_both_sides() -> None:
    new = Unresolved("_ZN3c101fERKNSt7__cxx1112basic", "c10::f", Mismatch.OTHER_ABI)
    old = Unresolved("_ZN3c101fERKSs", "c10::f", Mismatch.OTHER_ABI)
    absent = Unresolved("gone", "gone", Mismatch.ABSENT)
    assert render_cause([absent, new]) == (
        "it was compiled with _GLIBCXX_USE_CXX11_ABI=1, these libraries with 0"
    )
    assert render_cause([old]) == (
        "it was compiled with _GLIBCXX_USE_CXX11_ABI=0, these libraries with 1"
    )
    changed = Unresolved("_ZN3c101gEv", "c10::g()", Mismatch.OTHER_SIGNATURE)
    assert "another version of these libraries (1 names" in render_cause([changed, absent])
    assert render_cause([absent]) == "they have nothing of these names"


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("_ZN3c105ErrorC2ESs", "_ZNC2ESs"),
        ("_ZN5ClassEILb1ELi128EEvSs", "_ZNEILb1ELi128EEvSs"),
        ("_ZN3c106AccessSsEi", "_ZNSsEi"),
        ("_ZN3c103absS1_S2_T0_", "_ZNS1_S2_T0_"),
    ],
)
def test_a_mangled_name_without_its_words(name: str, rest: str) -> None:
    assert without_identifiers(name) == rest


@pytest.mark.parametrize(
    ("names", "torch", "cxx"),
    [
        (["_ZN3c104failERKSs"], TorchAbi.CXX, CxxAbi.OLD),
        (["_ZN3c104failERKNSt7__cxx1112basic_stringIcE"], TorchAbi.CXX, CxxAbi.NEW),
        (["_ZNK2at6Tensor4nameB5cxx11Ev"], TorchAbi.CXX, CxxAbi.NEW),
        (["_ZN2at11AccessSsEdEv"], TorchAbi.CXX, None),
        (["aoti_torch_get_dim", "memcpy"], TorchAbi.STABLE, None),
        (["torch_call_dispatcher"], TorchAbi.STABLE, None),
        (["memcpy", "_ZNSs6appendEPKc"], TorchAbi.NONE, None),
    ],
)
def test_how_closely_it_is_bound(names: list[str], torch: TorchAbi, cxx: CxxAbi | None) -> None:
    asked = extension(*(UndefinedSymbol(name) for name in names))
    assert judge_torch_abi(asked) is torch
    assert judge_cxx_abi(asked) is cxx


def test_floors_compare_numbers_not_letters() -> None:
    versions = ["GLIBC_2.9", "GLIBC_2.34", "GLIBC_2.2.5", "GLIBC_PRIVATE", "libcudart.so.12"]
    assert version_floors(iter([*versions, "GLIBCXX_3.4.9", "GLIBCXX_3.4.30"])) == {
        "GLIBC": "2.34",
        "GLIBCXX": "3.4.30",
    }
