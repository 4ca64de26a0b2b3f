"""Commands → nested blocks: what `if`, `foreach`, `function` and `macro` enclose."""

from dataclasses import dataclass
from typing import Final, NoReturn

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.release.cmake_syntax import Command

ENDS: Final = {
    "if": ("elseif", "else", "endif"),
    "foreach": ("endforeach",),
    "while": ("endwhile",),
    "function": ("endfunction",),
    "macro": ("endmacro",),
    "block": ("endblock",),
}


ALL_ENDS: Final = frozenset(end for ends in ENDS.values() for end in ends)


@dataclass(frozen=True, slots=True)
class Branch:
    """`condition` is None for `else`."""

    condition: Command | None
    body: "Body"


@dataclass(frozen=True, slots=True)
class Conditional:
    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """`header` is the `foreach` or `while` command."""

    header: Command
    body: "Body"


@dataclass(frozen=True, slots=True)
class Definition:
    """A function, with a scope of its own, or a macro, whose parameters are replaced as text."""

    name: str
    parameters: tuple[str, ...]
    body: "Body"
    macro: bool


Node = Command | Conditional | Loop | Definition
Body = tuple[Node, ...]


def parse_blocks(commands: tuple[Command, ...], *, origin: str) -> Body:
    """The whole file as one body.

    Raises:
        Problem: exit 5 where a block is not closed.
    """
    return take_body(list(commands), 0, (), origin)[0]


def take_body(
    commands: list[Command], start: int, ends: tuple[str, ...], origin: str
) -> tuple[Body, int]:
    """Nodes up to one of `ends`; the index is that of the ending command."""
    nodes: list[Node] = []
    index = start
    while index < len(commands) and commands[index].name not in ends:
        opening = commands[index]
        if opening.name in ALL_ENDS:
            unclosed(origin, opening)
        if opening.name not in ENDS:
            nodes.append(opening)
            index += 1
        elif opening.name == "if":
            node, index = take_conditional(commands, index, origin)
            nodes.append(node)
        else:
            body, index = take_body(commands, index + 1, ENDS[opening.name], origin)
            if index == len(commands):
                unclosed(origin, opening)
            nodes.append(close(opening, body))
            index += 1
    return tuple(nodes), index


def close(opening: Command, body: Body) -> Loop | Definition | Conditional:
    words = opening.words()
    if opening.name in {"function", "macro"}:
        return Definition(words[0].lower(), words[1:], body, macro=opening.name == "macro")
    if opening.name == "block":
        return Conditional((Branch(None, body),))
    return Loop(opening, body)


def take_conditional(commands: list[Command], start: int, origin: str) -> tuple[Conditional, int]:
    branches: list[Branch] = []
    index = start
    while True:
        opening = commands[index]
        body, index = take_body(commands, index + 1, ENDS["if"], origin)
        if index == len(commands):
            unclosed(origin, commands[start])
        branches.append(Branch(None if opening.name == "else" else opening, body))
        if commands[index].name == "endif":
            return Conditional(tuple(branches)), index + 1


def unclosed(origin: str, opening: Command) -> NoReturn:
    raise Problem(
        f"{origin}:{opening.line}: {opening.name}() has no counterpart",
        exit_code=ExitCode.BAD_INPUT,
    )
