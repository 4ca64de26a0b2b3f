"""Which Pythons and torches an extension fits."""

import sys
from pathlib import Path

import pytest

from vllm_forge.records.binary import Extension, UndefinedSymbol
from vllm_forge.records.check import CheckStatus
from vllm_forge.verify.abi import prove_abi, read_python_exports, read_python_version

NAMES = ("PyModule_Create2", "_Py_NoneStruct")


def extension(*names: str, module: str | None = "_C", file: str = "_C.abi3.so") -> Extension:
    return Extension(
        path=f"/e/vllm/{file}",
        machine="x86_64",
        needed=(),
        rpath=(),
        runpath=(),
        undefined=tuple(UndefinedSymbol(name) for name in names),
        module=module,
        abi3=".abi3." in file,
        floors={},
    )


def test_the_stable_abi_of_both() -> None:
    one = extension(*NAMES, "aoti_torch_get_device_type", "memcpy")
    check = prove_abi(one, ["0x03080000", "0x03080000"], (3, 12), frozenset(NAMES))
    assert check.status is CheckStatus.PASSED
    assert check.detail == (
        "Python: abi3, Py_LIMITED_API 3.8, 2 names of this interpreter; torch: 1 names of its "
        "stable ABI, which outlives a release"
    )


def test_what_is_bound_to_one_python_and_one_torch_says_so() -> None:
    one = extension("_ZN2at5emptyEv", file="_C.cpython-312-x86_64-linux-gnu.so")
    check = prove_abi(one, [], (3, 12), frozenset())
    assert check.status is CheckStatus.PASSED
    assert check.detail == (
        "Python: of one minor version, 0 names; torch: 1 C++ names, of this release alone"
    )


@pytest.mark.parametrize(
    ("one", "limited", "said"),
    [
        (
            extension(*NAMES),
            ["0x030C0000"],
            "compiled for the stable ABI of 3.12, this Python is 3.11",
        ),
        (extension(*NAMES, "PyType_Freeze"), ["3"], "1 of 3 names are not this Python's"),
        (extension(module="_moe_C"), ["3"], "Python looks for PyInit__C, it has _moe_C"),
    ],
)
def test_what_this_python_cannot_import(one: Extension, limited: list[str], said: str) -> None:
    check = prove_abi(one, limited, (3, 11), frozenset(NAMES))
    assert (check.status, check.detail) == (CheckStatus.FAILED, said)


def test_this_interpreter_offers_what_extensions_ask_for() -> None:
    assert {"PyModule_Create2", "_Py_NoneStruct"} <= read_python_exports(Path(sys.executable))
    assert read_python_version(Path(sys.prefix)) == sys.version_info[:2]


def test_nothing_is_claimed_of_what_is_not_there(tmp_path: Path) -> None:
    assert read_python_exports(tmp_path / "python") == frozenset()
    assert read_python_version(tmp_path) is None
