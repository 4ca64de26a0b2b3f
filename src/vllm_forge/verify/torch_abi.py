"""How closely an extension is bound to torch, by the names it asks for."""

import re
from collections.abc import Iterator
from typing import Final

from vllm_forge.records.binary import CxxAbi, Extension, TorchAbi

CXX_SYMBOL: Final = re.compile(r"\d(at|c10|torch|caffe2|c10d)(?=[\dEIL])")
"""The length and name of one of torch's namespaces in a mangled name."""
C_SYMBOL: Final = re.compile(r"(aoti_)?torch_\w+")
"""The C functions beneath torch's stable ABI (torch's documentation, "LibTorch Stable ABI")."""
NEW_ABI: Final = re.compile(r"7__cxx11|B5cxx11")
"""libstdc++ puts what depends on std::string's layout into std::__cxx11, or tags it [abi:cxx11]
(GCC manual, "Dual ABI")."""
IDENTIFIER: Final = re.compile(r"[CD][0-5]|L[a-z]n?\d+E|[ST]\d*_|(\d+)")
"""A number is the kind of a constructor, a literal, a substitution, or the length of the identifier
that follows."""


def judge_torch_abi(extension: Extension) -> TorchAbi:
    names = [symbol.name for symbol in extension.undefined if not symbol.weak]
    if any(is_torch(name) for name in names):
        return TorchAbi.CXX
    if any(C_SYMBOL.fullmatch(name) for name in names):
        return TorchAbi.STABLE
    return TorchAbi.NONE


def torch_symbols(extension: Extension) -> Iterator[str]:
    """Every strong undefined name that is torch's to export."""
    for symbol in extension.undefined:
        if not symbol.weak and (is_torch(symbol.name) or C_SYMBOL.fullmatch(symbol.name)):
            yield symbol.name


def is_torch(name: str) -> bool:
    """Whether a mangled name mentions torch's namespaces."""
    return name.startswith("_Z") and CXX_SYMBOL.search(name) is not None


def judge_cxx_abi(extension: Extension) -> CxxAbi | None:
    """Which std::string its torch symbols speak of; None where none speaks of any."""
    names = [name for name in torch_symbols(extension) if name.startswith("_Z")]
    if any(NEW_ABI.search(name) for name in names):
        return CxxAbi.NEW
    if any("Ss" in without_identifiers(name) for name in names):
        return CxxAbi.OLD
    return None


def without_identifiers(name: str) -> str:
    """A mangled name's structure alone: `_ZN3c105ErrorC2ESs` → `_ZNC2ESs`."""
    kept: list[str] = []
    place = 0
    while match := IDENTIFIER.search(name, place):
        kept.append(name[place : match.start()])
        if match[1] is None:
            kept.append(match[0])
            place = match.end()
        else:
            place = match.end() + int(match[1])
    return "".join(kept) + name[place:]
