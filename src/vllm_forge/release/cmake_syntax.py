"""CMake text → commands. The grammar is that of the manual page cmake-language(7)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from vllm_forge.records.problem import ExitCode, Problem


class Form(StrEnum):
    """How an argument is written: it decides what is expanded and split."""

    UNQUOTED = "unquoted"
    QUOTED = "quoted"
    BRACKET = "bracket"
    PARENTHESIS = "parenthesis"


@dataclass(frozen=True, slots=True)
class Argument:
    """`text` without its quotes or brackets; references and escapes as written."""

    text: str
    form: Form


@dataclass(frozen=True, slots=True)
class Command:
    """`name` in lower case; `line` counts from 1."""

    name: str
    arguments: tuple[Argument, ...]
    line: int

    def words(self) -> tuple[str, ...]:
        """The arguments' texts, unexpanded."""
        return tuple(argument.text for argument in self.arguments)


OPENING: Final = Argument("(", Form.PARENTHESIS)
CLOSING: Final = Argument(")", Form.PARENTHESIS)

TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+ | \#\[(?P<remark>=*)\[.*?\](?P=remark)\] | \#[^\n]*)
  | \[(?P<bars>=*)\[\n?(?P<bracket>.*?)\](?P=bars)\]
  | "(?P<quoted>(?:[^"\\]|\\.)*)"
  | (?P<parenthesis>[()])
  | (?P<unquoted>(?:[^\s()\#"\\]|\\.)(?:[^\s()\#"\\]|\\.|"(?:[^"\\]|\\.)*")*)
    """,
    re.VERBOSE | re.DOTALL,
)


def parse_cmake(text: str, *, origin: str) -> tuple[Command, ...]:
    """Commands in order, conditions and loops not yet interpreted.

    Raises:
        Problem: exit 5 naming `origin` and the line, where the text is not CMake.
    """
    tokens = split_tokens(text, origin)
    return tuple(take_command(name, line, tokens, origin) for name, line in tokens)


def split_tokens(text: str, origin: str) -> Iterator[tuple[Argument, int]]:
    """Arguments and parentheses with their lines; space and comments are left out."""
    position, line = 0, 1
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise not_cmake(origin, line, text[position:])
        if match["space"] is None:
            form = next(form for form in Form if match[form] is not None)
            yield Argument(match[form], form), line
        line += match.group().count("\n")
        position = match.end()


def take_command(
    name: Argument, line: int, tokens: Iterator[tuple[Argument, int]], origin: str
) -> Command:
    """One command's arguments, its own parentheses dropped and inner ones kept."""
    opening, _ = next(tokens, (name, line))
    if name.form is not Form.UNQUOTED or opening != OPENING:
        raise not_cmake(origin, line, name.text)
    arguments: list[Argument] = []
    depth = 1
    for argument, _ in tokens:
        depth += (argument == OPENING) - (argument == CLOSING)
        if depth == 0:
            return Command(name.text.lower(), tuple(arguments), line)
        arguments.append(argument)
    raise not_cmake(origin, line, f"{name.text}( is not closed")


def not_cmake(origin: str, line: int, found: str) -> Problem:
    start = found.strip()[:40].partition("\n")[0]
    return Problem(f"{origin}:{line} is not CMake: {start}", exit_code=ExitCode.BAD_INPUT)
