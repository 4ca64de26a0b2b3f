"""What a C++ or CUDA source takes from torch: qualified names and headers.

Comments and strings do not count, nor does what stands under an `#if` that is false or undecided
for the device, nor the body of a macro, which may never be expanded: a name that is reported is
one the compiler certainly sees.
"""

import re
from dataclasses import dataclass
from typing import Final

from vllm_forge.release.cxx_condition import is_defined, parse_condition

COMMENT_OR_STRING: Final = re.compile(
    r"""//[^\n]*|/\*.*?\*/|R"\(.*?\)"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])'""", re.DOTALL
)
DIRECTIVE: Final = re.compile(r"\s*#\s*(\w+)\s*(.*)")
INCLUDE: Final = re.compile(r'(?:"(?P<near>[^"]+)"|<(?P<far>(?:torch|ATen|c10)/[^>]+)>)')
NAME: Final = re.compile(
    r"(?<![\w:.])(?:::\s*)?((?:at|c10|torch)\s*::\s*[A-Za-z_]\w*(?:\s*::\s*[A-Za-z_]\w*)*)"
)


@dataclass(frozen=True, slots=True)
class CxxNames:
    """`names` as `at::Half`, `headers` as `ATen/ATen.h`, `includes` as quoted."""

    names: frozenset[str]
    headers: frozenset[str]
    includes: tuple[str, ...]


def parse_cxx(text: str, device: str) -> CxxNames:
    """Names, torch headers and quoted includes that certainly take part for this device."""
    names: set[str] = set()
    headers: set[str] = set()
    includes: list[str] = []
    for directive, line in certain_lines(strip_comments(text), device):
        if directive == "include":
            found = INCLUDE.search(line)
            if found and found["near"]:
                includes.append(found["near"])
            elif found:
                headers.add(found["far"])
        elif not directive and "::" in line:
            code = COMMENT_OR_STRING.sub('""', line)
            names |= {re.sub(r"\s", "", name) for name in NAME.findall(code)}
    return CxxNames(frozenset(names), frozenset(headers), tuple(dict.fromkeys(includes)))


def strip_comments(text: str) -> str:
    """Comments become their newlines, strings stay; continued lines are joined."""

    def replace(found: re.Match[str]) -> str:
        token = found.group()
        return "\n" * token.count("\n") if token.startswith("/") else token

    return COMMENT_OR_STRING.sub(replace, text).replace("\\\n", " ")


def certain_lines(text: str, device: str) -> list[tuple[str, str]]:
    """(directive or "", line) of every line that no undecided or false condition encloses."""
    certain: list[tuple[str, str]] = []
    taken: list[bool | None] = []
    earlier: list[bool | None] = []
    lines = text.splitlines()
    for number, line in enumerate(lines):
        found = DIRECTIVE.match(line)
        if found is None:
            if all(taken):
                certain.append(("", line))
            continue
        keyword, rest = found[1], found[2].strip()
        if keyword in {"if", "ifdef", "ifndef"}:
            guard = keyword == "ifndef" and defines(lines[number + 1 : number + 2], rest)
            truth = True if guard else condition_truth(keyword, rest, device)
            taken.append(truth)
            earlier.append(truth)
        elif keyword in {"elif", "else"} and taken:
            truth = parse_condition(rest, device) if keyword == "elif" else True
            taken[-1] = False if earlier[-1] else None if earlier[-1] is None else truth
            earlier[-1] = True if earlier[-1] or truth else earlier[-1] if truth is False else None
        elif keyword == "endif" and taken:
            taken.pop()
            earlier.pop()
        elif all(taken):
            certain.append((keyword, rest))
    return certain


def defines(lines: list[str], macro: str) -> bool:
    """The next line defines what `#ifndef` asked for: an include guard or a default."""
    return any(re.match(rf"\s*#\s*define\s+{re.escape(macro)}\b", line) for line in lines)


def condition_truth(keyword: str, rest: str, device: str) -> bool | None:
    if keyword == "if":
        return parse_condition(rest, device)
    held = is_defined(rest.split(maxsplit=1)[0] if rest else "", device)
    return held if keyword == "ifdef" or held is None else not held
