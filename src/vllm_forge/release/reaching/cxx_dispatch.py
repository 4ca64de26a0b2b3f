"""Branches of a C++ function that these GPUs never enter: `if (version_num >= 120) {…; return; }`.

Only comparisons of a variable that holds `get_sm_version_num()` (csrc/cuda_utils or common.cpp of
the tree) with numbers are judged.
"""

import re
from typing import Final

ASSIGNED: Final = re.compile(r"(\w+)\s*=\s*get_sm_version_num\s*\(\s*\)")
TEST: Final = re.compile(r"\bif\s*\(")
COMPARISON: Final = re.compile(r"(\w+)\s*(==|!=|<=|>=|<|>)\s*(\d+)")
TOKEN: Final = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])'|[{}()]")
PAIRS: Final = {"{": "}", "(": ")"}
MARKS: Final = re.compile(r"[\x01-\x03]")


def without_dead_branches(body: str, capabilities: tuple[int, ...]) -> str:
    """The body without what is behind a test that none of the GPUs passes.

    What follows a branch that all of them enter and that returns is left out too, unless an
    undecided `#if` lies in the way.
    """
    found = ASSIGNED.search(body)
    if found is None or not capabilities:
        return body
    variable = found[1]
    kept: list[str] = []
    place = 0
    for test in TEST.finditer(body):
        if test.start() < place:
            continue
        after_test = closing(body, test.end() - 1)
        answer = judge(body[test.end() : after_test - 1], variable, capabilities)
        opening = after_test + len(body[after_test:]) - len(body[after_test:].lstrip())
        if answer is None or body[opening : opening + 1] != "{":
            continue
        after = closing(body, opening)
        kept.append(body[place : test.start()])
        if answer:
            inner = body[opening + 1 : after - 1]
            kept.append(without_dead_branches(f"{found[0]};{inner}", capabilities))
            if (
                _returns(inner)
                and _depth(body[: test.start()]) == 0
                and not _conditional(body, test)
            ):
                return "".join(kept)
        place = after
    kept.append(body[place:])
    return "".join(kept)


def judge(test: str, variable: str, capabilities: tuple[int, ...]) -> bool | None:
    """The same answer for every GPU, or None.

    >>> judge("v >= 90 && v < 100", "v", (90,)), judge("v >= 90", "v", (89, 90))
    (True, None)
    """
    answers = {_holds(test, variable, capability) for capability in capabilities}
    return answers.pop() if len(answers) == 1 else None


def _holds(test: str, variable: str, capability: int) -> bool | None:
    if "(" in test or ("&&" in test and "||" in test):
        return None
    every = "||" not in test
    answers: list[bool | None] = []
    for part in re.split(r"&&|\|\|", MARKS.sub("", test)):
        found = COMPARISON.fullmatch(part.strip())
        if found is None or found[1] != variable:
            answers.append(None)
            continue
        number = int(found[3])
        answers.append(
            {
                "==": capability == number,
                "!=": capability != number,
                "<=": capability <= number,
                ">=": capability >= number,
                "<": capability < number,
                ">": capability > number,
            }[found[2]]
        )
    deciding = not every
    if deciding in answers:
        return deciding
    return None if None in answers else every


def closing(text: str, opening: int) -> int:
    """The place after what closes the bracket at `opening`."""
    ours = text[opening]
    depth = 0
    for token in TOKEN.finditer(text, opening):
        if token.group() == ours:
            depth += 1
        elif token.group() == PAIRS[ours]:
            depth -= 1
            if depth == 0:
                return token.end()
    return len(text)


def _returns(block: str) -> bool:
    """Its last statement is a return."""
    last = MARKS.sub("", block).rstrip().removesuffix(";").rpartition(";")[2]
    return last.strip().startswith("return")


def _depth(text: str) -> int:
    return sum({"{": 1, "}": -1}.get(token.group(), 0) for token in TOKEN.finditer(text))


def _conditional(body: str, test: re.Match[str]) -> bool:
    """Whether the test stands in a branch of an undecided `#if`."""
    before = body[: test.start()]
    return before.count("\x01") > before.count("\x03")
