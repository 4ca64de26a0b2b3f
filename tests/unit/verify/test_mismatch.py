"""Names are those of torch 2.6.0 (old C++ ABI) and 2.7.1 (new)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from vllm_forge.records.binary import Mismatch, Unresolved
from vllm_forge.records.doors import Completed
from vllm_forge.verify.mismatch import (
    explain_missing,
    find_overloads,
    qualified_prefix,
    without_abi,
)

STRING = "NSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
ERROR_NEW = f"_ZN3c105ErrorC1ENS_14SourceLocationE{STRING}"
ERROR_OLD = "_ZN3c105ErrorC1ENS_14SourceLocationESs"
LOGGER_OLD = "_ZN3c1013MessageLoggerC1EPKcii"
LOGGER_NEW = "_ZN3c1013MessageLoggerC1ENS_14SourceLocationEib"

READABLE = {
    ERROR_NEW: "c10::Error::Error(c10::SourceLocation, std::__cxx11::basic_string<char, "
    "std::char_traits<char>, std::allocator<char> >)",
    ERROR_OLD: "c10::Error::Error(c10::SourceLocation, std::basic_string<char, "
    "std::char_traits<char>, std::allocator<char> >)",
    LOGGER_OLD: "c10::MessageLogger::MessageLogger(char const*, int, int)",
    LOGGER_NEW: "c10::MessageLogger::MessageLogger(c10::SourceLocation, int, bool)",
}


def demangler(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 30.0,
) -> Completed:
    """What c++filt 2.40 answers for these names."""
    del env, cwd, timeout
    assert command[0] == "c++filt"
    return Completed(0, "".join(f"{READABLE.get(str(one), one)}\n" for one in command[1:]), "")


def no_demangler(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 30.0,
) -> Completed:
    del command, env, cwd, timeout
    return Completed(127, "", "not found")


def test_the_other_abi_is_told_both_ways() -> None:
    (one,) = explain_missing([ERROR_NEW], frozenset({ERROR_OLD, LOGGER_OLD}), demangler)
    assert one == Unresolved(
        name=ERROR_NEW,
        readable="c10::Error::Error(c10::SourceLocation, std::__cxx11::string)",
        mismatch=Mismatch.OTHER_ABI,
        exported=("c10::Error::Error(c10::SourceLocation, std::string)",),
    )
    (other,) = explain_missing([ERROR_OLD], frozenset({ERROR_NEW}), demangler)
    assert other.mismatch is Mismatch.OTHER_ABI


def test_another_signature_is_another_release() -> None:
    (one,) = explain_missing([LOGGER_OLD], frozenset({LOGGER_NEW, ERROR_NEW}), demangler)
    assert one.mismatch is Mismatch.OTHER_SIGNATURE
    assert one.exported == (READABLE[LOGGER_NEW],)


def test_nothing_of_that_name() -> None:
    (one,) = explain_missing(["cublasHgemm"], frozenset({ERROR_NEW}), demangler)
    assert one == Unresolved("cublasHgemm", "cublasHgemm", Mismatch.ABSENT)


def test_without_a_demangler_the_marks_decide() -> None:
    exported = frozenset({ERROR_OLD, LOGGER_NEW})
    abi, signature = explain_missing([ERROR_NEW, LOGGER_OLD], exported, no_demangler)
    assert (abi.mismatch, abi.readable) == (Mismatch.OTHER_ABI, ERROR_NEW)
    assert signature.mismatch is Mismatch.OTHER_SIGNATURE


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        (ERROR_OLD, "_ZN3c105ErrorC1"),
        ("_ZNK2at6Tensor4nameB5cxx11Ev", "_ZNK2at6Tensor4name"),
        ("_ZNR5torch7Library4_defEOSt7variant", "_ZNR5torch7Library4_def"),
        ("_ZN3c10eqERKNS_6ScalarES2_", "_ZN3c10eq"),
        ("_Z3addii", "_Z3add"),
        ("_ZNSt6vectorIiE", None),
        ("_ZTVN3c105ErrorE", None),
        ("cudaMalloc", None),
    ],
)
def test_the_qualified_name(name: str, prefix: str | None) -> None:
    assert qualified_prefix(name) == prefix


def test_a_longer_name_is_no_overload() -> None:
    ordered = sorted(
        [ERROR_OLD, "_ZN3c105ErrorC2Ev", "_ZN3c105ErrorC1Ev", "_ZN3c1010ErrorAlwaysC1Ev"]
    )
    assert find_overloads(ERROR_NEW, ordered) == (
        "_ZN3c105ErrorC1ENS_14SourceLocationESs",
        "_ZN3c105ErrorC1Ev",
    )


def test_both_spellings_become_one() -> None:
    assert without_abi(READABLE[ERROR_NEW]) == without_abi(READABLE[ERROR_OLD])
    assert without_abi("at::Tensor::name[abi:cxx11]() const") == "at::Tensor::name() const"
