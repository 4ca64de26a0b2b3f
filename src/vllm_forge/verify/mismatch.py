"""Why a mangled name is missing: what the libraries export under the same qualified name."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Final

from vllm_forge.records.binary import Mismatch, Unresolved
from vllm_forge.records.doors import RunCommand
from vllm_forge.verify.torch_abi import NEW_ABI

NEAREST: Final = 8
"""Overloads looked at for one missing name."""
NAMES_AT_ONCE: Final = 200
"""Names on one c++filt command line: each may have kilobytes, and Linux takes 2 MiB in all."""

STRING: Final = re.compile(
    r"std::(?P<abi>(?:__cxx11::)?)"
    r"basic_string<char, std::char_traits<char>, std::allocator<char> ?>"
)


def explain_missing(
    missing: Sequence[str], exported: frozenset[str], run: RunCommand
) -> tuple[Unresolved, ...]:
    """Each missing name with the likeliest reason. `run` is asked for c++filt, if present."""
    if not missing:
        return ()
    ordered = sorted(exported)
    nearest = {name: find_overloads(name, ordered) for name in missing}
    readable = demangle(
        [*missing, *(other for others in nearest.values() for other in others)], run
    )
    return tuple(explain(name, nearest[name], readable) for name in missing)


def explain(name: str, overloads: Sequence[str], readable: dict[str, str]) -> Unresolved:
    """One missing name; what is exported under the other ABI comes first."""
    plain = without_abi(readable[name])
    ordered = sorted(overloads, key=lambda other: without_abi(readable[other]) != plain)
    return Unresolved(
        name=name,
        readable=shorten(readable[name]),
        mismatch=judge(name, overloads, readable),
        exported=tuple(shorten(readable[other]) for other in ordered),
    )


def judge(name: str, overloads: Sequence[str], readable: dict[str, str]) -> Mismatch:
    """OTHER_ABI is certain where names could be demangled, a good guess where not."""
    if not overloads:
        return Mismatch.ABSENT
    if readable[name] == name:
        tagged = NEW_ABI.search(name) is not None
        other = all((NEW_ABI.search(one) is not None) != tagged for one in overloads)
    else:
        plain = without_abi(readable[name])
        other = any(without_abi(readable[one]) == plain for one in overloads)
    return Mismatch.OTHER_ABI if other else Mismatch.OTHER_SIGNATURE


def without_abi(readable: str) -> str:
    """A demangled name with both ABIs' spellings made one."""
    return shorten(readable).replace("[abi:cxx11]", "").replace("std::__cxx11::", "std::")


def shorten(readable: str) -> str:
    """std::string as people write it."""
    return STRING.sub(r"std::\g<abi>string", readable)


def find_overloads(name: str, ordered: Sequence[str]) -> tuple[str, ...]:
    """Exported names with the same qualified name; `ordered` is sorted."""
    prefix = qualified_prefix(name)
    if prefix is None:
        return ()
    start = bisect_left(ordered, prefix)
    same = takewhile(lambda other: other.startswith(prefix), ordered[start : start + 10_000])
    found = [other for other in same if qualified_prefix(other) == prefix]
    return tuple(found[:NEAREST])


def qualified_prefix(name: str) -> str | None:
    """The mangled name up to the parameters: `_ZN3c105ErrorC2ESs` → `_ZN3c105ErrorC2`.

    Qualifiers of the function itself (`_ZNK`, `_ZNO`) stay; None for a name that is not C++ or
    begins with a template or a substitution. Itanium C++ ABI, 5.1.2 "Mangling".
    """
    head = re.match(r"_Z(?:N[rVK]*[RO]?)?", name)
    if head is None:
        return None
    place = head.end()
    while digits := re.compile(r"\d+").match(name, place):
        place = digits.end() + int(digits[0])
    if place == head.end():
        return None
    special = re.compile(r"[CD][0-5]|(?:nw|dl|eq|ne|lt|gt|le|ge|ix|cl|aS|ls|rs|pl|mi|ml|dv)").match(
        name, place
    )
    return name[: special.end() if special else place]


def demangle(names: Iterable[str], run: RunCommand) -> dict[str, str]:
    """Every name with its readable form, itself where c++filt is missing or fails."""
    distinct = list(dict.fromkeys(names))
    readable = {name: name for name in distinct}
    for start in range(0, len(distinct), NAMES_AT_ONCE):
        some = distinct[start : start + NAMES_AT_ONCE]
        said = run(["c++filt", *some])
        lines = said.stdout.splitlines()
        if said.code != 0 or len(lines) != len(some):
            break
        readable |= dict(zip(some, lines, strict=True))
    return readable
