import pytest

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.release.cmake_syntax import Argument, Form, parse_cmake


def words(text: str) -> list[tuple[str, ...]]:
    return [(command.name, *command.words()) for command in parse_cmake(text, origin="a.cmake")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SET(A b c)", [("set", "A", "b", "c")]),
        ("set (A\n  b # why\n  c)", [("set", "A", "b", "c")]),
        ('set(A "b c;d" e)', [("set", "A", "b c;d", "e")]),
        (r'set(A "a \"quoted\" word")', [("set", "A", r"a \"quoted\" word")]),
        ("#[[ a\nremark ]] set(A [[b ${C}]])", [("set", "A", "b ${C}")]),
        ("set(A [=[ ]] ]=])", [("set", "A", " ]] ")]),
        ("if((A) AND NOT B)\nendif()", [("if", "(", "A", ")", "AND", "NOT", "B"), ("endif",)]),
        ("set(A ${B}/c $ENV{D})", [("set", "A", "${B}/c", "$ENV{D}")]),
        ('set(F -DX="a b")', [("set", "F", '-DX="a b"')]),
        ("", []),
    ],
)
def test_commands_and_their_words(text: str, expected: list[tuple[str, ...]]) -> None:
    assert words(text) == expected


def test_how_an_argument_is_written_is_kept() -> None:
    (command,) = parse_cmake('f(a "a" [[a]])', origin="")
    assert command.arguments == (
        Argument("a", Form.UNQUOTED),
        Argument("a", Form.QUOTED),
        Argument("a", Form.BRACKET),
    )


def test_lines_count_from_the_commands_name() -> None:
    text = '# one\nset(A\n  "two\nlines")\n\nset(B)\n'
    assert [command.line for command in parse_cmake(text, origin="")] == [2, 6]


@pytest.mark.parametrize(
    ("text", "line"),
    [("set(A", 1), ("\nset", 2), ("set(A))", 1), ('set("a)', 1), ("a b()", 1), ('"a"()', 1)],
)
def test_what_is_not_cmake_names_its_place(text: str, line: int) -> None:
    with pytest.raises(Problem, match=rf"x/CMakeLists.txt:{line} is not CMake") as caught:
        parse_cmake(text, origin="x/CMakeLists.txt")
    assert caught.value.exit_code is ExitCode.BAD_INPUT
