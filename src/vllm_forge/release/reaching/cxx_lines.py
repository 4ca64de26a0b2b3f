"""Lines of a C++ or CUDA source that the host compiler may see; what CMake defines is known."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from vllm_forge.release.cxx_condition import is_defined, parse_condition
from vllm_forge.release.cxx_names import DIRECTIVE, strip_comments

WORD: Final = re.compile(r"\bdefined\s*\(?\s*(\w+)\s*\)?|\b([A-Za-z_]\w*)\b")
MACRO: Final = re.compile(r"(\w+)(?:\([^)]*\))?\s*(.*)")


@dataclass(frozen=True, slots=True)
class Line:
    """`branch` numbers the branch of each undecided condition around it."""

    directive: str
    text: str
    branch: tuple[int, ...]


def possible_lines(text: str, macros: Mapping[str, bool]) -> Iterator[Line]:
    """Every line that is not certainly left out; `macros` are those CMake passes, or does not.

    Of an undecided condition all branches are given, told apart by `branch`.
    """
    taken: list[bool | None] = []
    earlier: list[bool | None] = []
    branch: list[int] = []
    for line in strip_comments(text).splitlines():
        found = DIRECTIVE.match(line)
        if found is None:
            if False not in taken:
                yield Line("", line, _undecided(branch, taken))
            continue
        keyword, rest = found[1], found[2].strip()
        if keyword in {"if", "ifdef", "ifndef"}:
            truth = _truth(keyword, rest, macros)
            taken.append(truth)
            earlier.append(truth)
            branch.append(0)
        elif keyword in {"elif", "else"} and taken:
            truth = True if keyword == "else" else _truth("if", rest, macros)
            settled = earlier[-1]
            after_open = False if truth is False else None  # a true one is not certain then
            taken[-1] = False if settled else truth if settled is False else after_open
            earlier[-1] = True if settled or truth else settled if truth is False else None
            branch[-1] += 1
        elif keyword == "endif" and taken:
            taken.pop()
            earlier.pop()
            branch.pop()
        elif False not in taken:
            yield Line(keyword, rest, _undecided(branch, taken))


def _undecided(branch: list[int], taken: list[bool | None]) -> tuple[int, ...]:
    return tuple(one for one, truth in zip(branch, taken, strict=True) if truth is None)


def _truth(keyword: str, rest: str, macros: Mapping[str, bool]) -> bool | None:
    if keyword != "if":
        name = rest.split(maxsplit=1)[0] if rest else ""
        held = macros.get(name, is_defined(name, "cuda"))
        return held if keyword == "ifdef" or held is None else not held

    def replace(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        return found[0] if name not in macros else str(int(macros[name]))

    return parse_condition(WORD.sub(replace, rest), "cuda")
