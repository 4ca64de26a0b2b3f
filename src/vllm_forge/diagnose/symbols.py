"""Whose symbol is missing: mangled C++ names read far enough to tell torch, CUDA and our own apart.

Only what answers that question is demangled (Itanium C++ ABI, section 5.1: nested names and source
names); parameters are looked at for one thing, the form of std::string, which tells the old C++ ABI
from the new one.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class Owner(StrEnum):
    TORCH = "torch"
    CUDA = "CUDA"
    PYTHON = "Python"
    LIBSTDCXX = "libstdc++"
    OTHER = "other"


TORCH_SPACES = frozenset({"at", "c10", "caffe2", "torch", "c10d", "autograd"})
TORCH_LIBRARIES = {
    ("c10", "cuda"): "libc10_cuda",
    ("at", "cuda"): "libtorch_cuda",
    ("c10d",): "libtorch_cpu or libtorch_cuda",
    ("c10",): "libc10",
    ("torch", "autograd", "THPVariable"): "libtorch_python",
    ("at",): "libtorch_cpu",
    ("torch",): "libtorch_cpu",
    ("caffe2",): "libtorch_cpu",
}
CUDA_NAMES = re.compile(
    r"_*(?:cublas|cuda[A-Z]|cudnn|cufft|curand|cusolver|cusparse|nvrtc|nvJitLink|nvml|cupti|nvtx"
    r"|cu(?:Init|Mem|Ctx|Launch|Module|Device|Stream|Func|Get|Tensor)|nccl[A-Z])"
)
TORCH_C_NAMES = re.compile(r"aoti_torch_|torch_(?:call|library|get|set|new|delete)\w*|THP")
PYTHON_NAMES = re.compile(r"_?Py[A-Z_]")
NEW_STRING = "NSt7__cxx1112basic_string"
OLD_STRING = re.compile(r"(?<=[A-Z_])Ss")
SUBSTITUTIONS = {"St": ("std",), "Sa": ("std", "allocator"), "Ss": ("std", "string")}


@dataclass(frozen=True, slots=True)
class Symbol:
    """`name` is the qualified name without parameters, `library` where torch keeps it."""

    mangled: str
    name: str
    owner: Owner
    library: str = ""
    string_abi: str = ""
    """`old` or `new` where a std::string is among the parameters."""


def read_symbol(mangled: str) -> Symbol:
    parts = _qualified_name(mangled)
    name = "::".join(parts) if parts else mangled
    abi = ""
    if NEW_STRING in mangled or "B5cxx11" in mangled:
        abi = "new"
    elif parts and OLD_STRING.search(mangled):
        abi = "old"
    owner = _owner(mangled, parts)
    library = _library(parts) if owner is Owner.TORCH else ""
    return Symbol(mangled, name, owner, library, abi)


def _owner(mangled: str, parts: tuple[str, ...]) -> Owner:
    if parts and parts[0] in TORCH_SPACES:
        return Owner.TORCH
    if parts and parts[0] == "std":
        return Owner.LIBSTDCXX
    if parts:
        return Owner.OTHER
    if TORCH_C_NAMES.match(mangled):
        return Owner.TORCH
    if CUDA_NAMES.match(mangled):
        return Owner.CUDA
    return Owner.PYTHON if PYTHON_NAMES.match(mangled) else Owner.OTHER


def _library(parts: tuple[str, ...]) -> str:
    for prefix, library in TORCH_LIBRARIES.items():
        if parts[: len(prefix)] == prefix:
            return library
    return "libtorch"


def _qualified_name(mangled: str) -> tuple[str, ...]:
    """`_ZN3c105ErrorC2E…` → `("c10", "Error", "Error")`; () for a C name."""
    if not mangled.startswith("_Z"):
        return ()
    rest = re.sub(r"^_Z(?:T[VTISch](?:h?n?\d+_)*|GV|GR|Z)*", "", mangled)
    if rest.startswith("N"):
        return _nested(re.sub(r"^N[rVK]*[RO]?", "", rest))
    for code, names in SUBSTITUTIONS.items():
        if rest.startswith(code):
            return (*names, *_source_names(rest[len(code) :])[:1])
    return _source_names(rest)[:1]


def _nested(rest: str) -> tuple[str, ...]:
    parts: tuple[str, ...] = ()
    for code, names in SUBSTITUTIONS.items():
        if rest.startswith(code):
            parts, rest = names, rest[len(code) :]
    parts += _source_names(rest)
    constructor = re.match(r"(?:\d+\w+?)?([CD])[0-5]", _after_source_names(rest))
    if constructor and parts:
        parts += (parts[-1] if constructor[1] == "C" else f"~{parts[-1]}",)
    return parts


def _source_names(text: str) -> tuple[str, ...]:
    """`3c105Error…` → `("c10", "Error")`."""
    names: list[str] = []
    while match := re.match(r"L?(\d+)", text):
        length = int(match[1])
        name, text = text[match.end() : match.end() + length], text[match.end() + length :]
        if len(name) < length:
            break
        names.append("(anonymous)" if name.startswith("_GLOBAL__N") else name)
        while tag := re.match(r"B(\d+)", text):
            text = text[tag.end() + int(tag[1]) :]
    return tuple(names)


def _after_source_names(text: str) -> str:
    while match := re.match(r"L?(\d+)", text):
        text = text[match.end() + int(match[1]) :]
    return text
