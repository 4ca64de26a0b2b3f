"""`#if` in three values: true, false, and not decided by what is known of the build.

Only the host pass is judged: there `__CUDA_ARCH__` is not defined. Grammar: C++ [cpp.cond] without
arithmetic; what it does not cover is undecided.
"""

import re
from typing import Final

TOKEN: Final = re.compile(r"\s*(\d+|\w+|&&|\|\||[<>=!]=|[!<>()])")

DEFINED: Final = {
    "cuda": frozenset({"USE_CUDA"}),
    "cpu": frozenset({"VLLM_CPU_EXTENSION"}),
}
UNDEFINED: Final = {
    "cuda": frozenset({"VLLM_CPU_EXTENSION"}),
    "cpu": frozenset({"__CUDACC__", "USE_CUDA", "ENABLE_FP8"}),
}
NEVER: Final = re.compile(
    r"__CUDA_ARCH__|USE_ROCM|__HIP\w*|__HCC__|HIP_\w+|__gfx\w+|__APPLE__|_WIN32|_MSC_VER|"
    r"__aarch64__|__ARM_\w+|__powerpc\w*|_ARCH_PWR\w+|__s390x?__|__riscv\w*"
)
"""Other machines than Linux on x86-64, and other GPUs than NVIDIA's."""


def is_defined(macro: str, device: str) -> bool | None:
    if macro in DEFINED[device]:
        return True
    if macro in UNDEFINED[device] or NEVER.fullmatch(macro):
        return False
    return None


def parse_condition(text: str, device: str) -> bool | None:
    """The truth of `#if TEXT`; None when undecided."""
    tokens = TOKEN.findall(text)
    if "".join(tokens) != re.sub(r"\s+", "", text):
        return None
    value, rest = disjunction(tokens, device)
    return None if rest or value is None else bool(value)


def disjunction(tokens: list[str], device: str) -> tuple[int | None, list[str]]:
    value, tokens = conjunction(tokens, device)
    while tokens[:1] == ["||"]:
        other, tokens = conjunction(tokens[1:], device)
        value = decide(value, other, deciding=1)
    return value, tokens


def conjunction(tokens: list[str], device: str) -> tuple[int | None, list[str]]:
    value, tokens = comparison(tokens, device)
    while tokens[:1] == ["&&"]:
        other, tokens = comparison(tokens[1:], device)
        value = decide(value, other, deciding=0)
    return value, tokens


def decide(left: int | None, right: int | None, *, deciding: int) -> int | None:
    """One side that has the deciding truth settles it; otherwise both must be known."""
    sides = [None if side is None else int(bool(side)) for side in (left, right)]
    if deciding in sides:
        return deciding
    return None if None in sides else 1 - deciding


def comparison(tokens: list[str], device: str) -> tuple[int | None, list[str]]:
    left, tokens = operand(tokens, device)
    if not tokens or tokens[0] not in {"<", ">", "<=", ">=", "==", "!="}:
        return left, tokens
    right, rest = operand(tokens[1:], device)
    if left is None or right is None:
        return None, rest
    held = {
        "<": left < right,
        ">": left > right,
        "<=": left <= right,
        ">=": left >= right,
        "==": left == right,
        "!=": left != right,
    }[tokens[0]]
    return int(held), rest


def operand(tokens: list[str], device: str) -> tuple[int | None, list[str]]:
    match tokens:
        case ["!", *rest]:
            value, rest = operand(rest, device)
            return (None if value is None else int(not value)), rest
        case ["(", *rest]:
            value, rest = disjunction(rest, device)
            return value, rest[1:]
        case ["defined", "(", macro, ")", *rest] | ["defined", macro, *rest]:
            held = is_defined(macro, device)
            return (None if held is None else int(held)), rest
        case [number, *rest] if number.isdigit():
            return int(number), rest
        case [macro, *rest]:
            # A macro that is not defined counts as 0; the value of a defined one is not known.
            return (0 if is_defined(macro, device) is False else None), rest
        case _:
            return None, []
