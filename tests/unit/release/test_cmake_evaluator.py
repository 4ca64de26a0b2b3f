"""CMake's language, statement by statement.

The cases lie in cmake/: `==== VALUE` is what `R` must be after the lines that follow, and each
line of conditions.txt is ON or OFF and a condition. tests/real asks CMake itself the same.
"""

from pathlib import Path

import pytest

from vllm_forge.records.problem import Problem
from vllm_forge.release.cmake_blocks import parse_blocks
from vllm_forge.release.cmake_evaluator import Call, Evaluator, Handler
from vllm_forge.release.cmake_language import LANGUAGE
from vllm_forge.release.cmake_scope import Scope
from vllm_forge.release.cmake_syntax import parse_cmake
from vllm_forge.release.cmake_values import compare_versions

CASES = Path(__file__).parent / "cmake"
BEFORE = """
set(YES_SET something)
set(NO_SET OFF)
set(NAME word)
set(LETTERS a b)
set(KEPT 1 CACHE STRING text)
"""


class Nothing:
    """No targets, and of files only the root folder."""

    def exists(self, path: str) -> bool:
        return path == "/"

    def is_target(self, name: str) -> bool:
        return name == "made"


def run(text: str, notes: dict[str, Handler] | None = None) -> Evaluator:
    scope = Scope(environment={"HERE": "from outside"})
    evaluator = Evaluator(scope, Nothing(), {**LANGUAGE, **(notes or {})})
    body = parse_blocks(parse_cmake(text, origin="t"), origin="t")
    evaluator.run_file(body, "x.cmake", "/")
    return evaluator


def value_cases() -> list[tuple[str, str]]:
    """(script, value of R); an empty value is an unset variable."""
    cases = (CASES / "values.txt").read_text().removeprefix("==== ").split("\n==== ")
    return [(case.partition("\n")[2], case.partition("\n")[0].strip()) for case in cases]


def condition_cases() -> list[tuple[str, bool]]:
    lines = (CASES / "conditions.txt").read_text().splitlines()
    return [(line[3:].strip(), line.startswith("ON")) for line in lines]


@pytest.mark.parametrize(("script", "value"), value_cases())
def test_values(script: str, value: str) -> None:
    assert (run(script).scope.get("R") or "") == value


@pytest.mark.parametrize(("condition", "holds"), condition_cases())
def test_conditions(condition: str, *, holds: bool) -> None:
    scope = run(f"{BEFORE}\nif({condition})\nset(R ON)\nelse()\nset(R OFF)\nendif()").scope
    assert scope.get("R") == ("ON" if holds else "OFF")


def test_a_place_is_that_of_the_outermost_call() -> None:
    seen: list[Call] = []
    text = "function(inner)\nnote(a)\nendfunction()\nmacro(outer)\ninner()\nendmacro()\n\nouter()"
    run(text, {"note": lambda _, call: seen.append(call)})
    assert seen == [Call("note", ("a",), "x.cmake:8")]


def test_unknown_commands_are_skipped_and_named() -> None:
    evaluator = run("install(TARGETS x)\nset(R 1)")
    assert evaluator.skipped == {"install"}
    assert evaluator.scope.get("R") == "1"


@pytest.mark.parametrize(
    "call", ["list(TRANSFORM R TOUPPER)", "string(TIMESTAMP R)", "string(REGEX QUOTE R x)"]
)
def test_operations_that_are_not_understood_are_kept(call: str) -> None:
    evaluator = run(f"set(R kept)\n{call}")
    assert [(c.name, c.place) for c in evaluator.not_understood] == [
        (call.partition("(")[0], "x.cmake:2")
    ]
    assert evaluator.scope.get("R") == "kept"


def test_what_the_environment_is_asked_for_is_noted_with_its_place() -> None:
    scope = run('set(A 1)\nif(DEFINED ENV{HERE})\nset(R "$ENV{GONE}")\nendif()').scope
    assert scope.asked == {"HERE": "x.cmake:2", "GONE": "x.cmake:3"}


@pytest.mark.parametrize("text", ["if(A)\nset(B)", "foreach(A b)", "endif()", "else()\nendif()"])
def test_blocks_that_do_not_close(text: str) -> None:
    with pytest.raises(Problem, match="has no counterpart"):
        run(text)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("12.4", "12.4.0", 0),
        ("12.10", "12.9", 1),
        ("9.0a", "9.0", 0),
        ("", "0", 0),
        ("2", "10", -1),
    ],
)
def test_versions(left: str, right: str, expected: int) -> None:
    assert compare_versions(left, right) == expected
