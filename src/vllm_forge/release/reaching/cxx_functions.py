"""One C++ or CUDA file as functions: what it defines, declares and registers, and what each names.

A brace belongs to a namespace or to a definition. What stands in a definition's braces is what it
uses; a name before `(…)` at namespace level is defined where braces follow and declared where a
semicolon does. Names are taken without their namespaces: one name too many keeps a file too many.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from vllm_forge.release.cxx_names import COMMENT_OR_STRING, INCLUDE
from vllm_forge.release.reaching.cxx_dispatch import without_dead_branches
from vllm_forge.release.reaching.cxx_lines import MACRO, possible_lines

IDENTIFIER: Final = re.compile(r"[A-Za-z_]\w*")
CALLED: Final = re.compile(r"([A-Za-z_]\w*)\s*(?:<[^;{}]*?>)?\s*\(")
NAMESPACE: Final = re.compile(r"(?:\bnamespace\b[\w:\s]*|extern\s*\"\"\s*)$")
LIBRARY: Final = re.compile(
    r"(?:STABLE_)?TORCH_LIBRARY(?:_FRAGMENT|_IMPL)?(?:_EXPAND)?\s*"
    r"\((?P<space>(?:[^,()]|\([^()]*\))+)(?:[^()]|\([^()]*\))*\)"
)
ENTRY: Final = re.compile(
    r"\.\s*(?P<verb>impl|def)\s*\(\s*\"(?P<name>[\w.:]+)[^\"]*\"(?:\s*\"[^\"]*\")*"
)
TYPE: Final = re.compile(r"\b(?:struct|class|union|enum(?:\s+class)?)\s+(?:\w+\([^)]*\)\s*)?(\w+)")
INSTANTIATION: Final = re.compile(r"^\s*(?:extern\s+)?template\b(?!\s*<)")
NOT_FUNCTIONS: Final = frozenset(
    {
        *("alignas", "alignof", "constexpr", "decltype", "defined", "for", "if", "noexcept"),
        *("operator", "requires", "return", "sizeof", "static_assert", "switch", "while"),
        *("__attribute__", "__launch_bounds__", "__align__"),
    }
)


LITERAL: Final = r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])'"
AT_LEVEL: Final = re.compile(LITERAL + r"|[{};\x01-\x03]")
INSIDE: Final = re.compile(LITERAL + r"|[{}\x01-\x03]")


@dataclass(frozen=True, slots=True)
class Registration:
    """An operator of one library block, and the names of what implements it.

    `library` is the macro's call (`TORCH_LIBRARY_IMPL(_C, CUDA, m)`), `defines` whether it brings
    the schema.
    """

    library: str
    space: str
    name: str
    uses: frozenset[str]
    defines: bool


@dataclass(slots=True)
class CxxFile:
    """`definitions` is name → what it names; `loose` is what is named outside any definition."""

    definitions: dict[str, set[str]] = field(default_factory=dict)
    declared: set[str] = field(default_factory=set)
    registrations: list[Registration] = field(default_factory=list)
    loose: set[str] = field(default_factory=set)
    includes: list[str] = field(default_factory=list)


def parse_functions(
    text: str, macros: Mapping[str, bool], capabilities: tuple[int, ...]
) -> CxxFile:
    """`macros`: those CMake decides; `capabilities` of the GPUs, 90 for 9.0."""
    file = CxxFile()
    code: list[str] = []
    before: tuple[int, ...] = ()
    for line in possible_lines(text, macros):
        if line.directive == "include":
            found = INCLUDE.search(line.text)
            if found and found["near"]:
                file.includes.append(found["near"])
        elif line.directive == "define":
            named = MACRO.match(line.text)
            if named:
                uses = IDENTIFIER.findall(COMMENT_OR_STRING.sub('""', named[2]))
                file.definitions.setdefault(named[1], set()).update(uses)
        elif not line.directive:
            if line.branch != before:
                code.append(_switch(before, line.branch))
                before = line.branch
            code.append(line.text)
    _take_level(file, "\n".join(code), capabilities)
    return file


SAVE, LOAD, DROP = "\x01", "\x02", "\x03"
"""Marks of conditions in the text: the depth of braces is kept at the first branch of an undecided
condition, taken again at each other one, and forgotten at its end."""


def _switch(before: tuple[int, ...], after: tuple[int, ...]) -> str:
    common = 0
    for left, right in zip(before, after, strict=False):
        if left != right:
            break
        common += 1
    gone, come = len(before) - common, len(after) - common
    if gone and come:
        return DROP * (gone - 1) + LOAD + SAVE * (come - 1)
    return DROP * gone + SAVE * come


def _take_level(file: CxxFile, code: str, capabilities: tuple[int, ...]) -> None:
    """Split the file at namespace level into what ends with `;` and what has braces."""
    head: list[str] = []
    place = 0
    for token in AT_LEVEL.finditer(code):
        if token.start() < place:
            continue
        mark = token.group()
        head.append(code[place : token.start()])
        place = token.end()
        if mark[0] in "\"'":
            head.append(mark)
        elif mark == ";":
            _declaration(file, "".join(head))
            head = []
        elif mark == "{":
            said = "".join(head)
            if NAMESPACE.search(COMMENT_OR_STRING.sub('""', said).rstrip()):
                head = []
                continue
            place = _closing(code, token.start())
            _definition(file, said, code[token.end() : place - 1], capabilities)
            # an initializer or a type goes on to its semicolon; a function ends with its brace
            head = []
        elif mark == "}":
            head = []
    _declaration(file, "".join(head))


def _closing(code: str, opening: int) -> int:
    """The place after the brace that closes the one at `opening`."""
    depth = 0
    saved: list[int] = []
    for token in INSIDE.finditer(code, opening):
        mark = token.group()
        if mark == "{":
            depth += 1
        elif mark == "}":
            depth -= 1
            if depth == 0:
                return token.end()
        elif mark == SAVE:
            saved.append(depth)
        elif mark == LOAD and saved:
            depth = saved[-1]
        elif mark == DROP and saved:
            saved.pop()
    return len(code)


def _declaration(file: CxxFile, said: str) -> None:
    plain = COMMENT_OR_STRING.sub('""', said)
    names = _names_before_parentheses(plain)
    if not names:
        if "=" in plain:
            file.loose |= set(IDENTIFIER.findall(plain.partition("=")[2]))
        return
    if INSTANTIATION.match(plain):
        for name in names:
            file.definitions.setdefault(name, set()).update(IDENTIFIER.findall(plain))
        return
    if "=" in plain.partition("(")[0]:
        file.loose |= set(IDENTIFIER.findall(plain.partition("=")[2]))
        return
    file.declared.update(names)
    # a macro that is called at namespace level may define anything
    file.loose |= set(names[:1]) if plain.lstrip().startswith(names[0]) else set()


def _definition(file: CxxFile, said: str, body: str, capabilities: tuple[int, ...]) -> None:
    library = LIBRARY.search(said)
    if library:
        _registrations(file, library, body)
        return
    plain = COMMENT_OR_STRING.sub('""', said)
    uses = set(
        IDENTIFIER.findall(COMMENT_OR_STRING.sub('""', without_dead_branches(body, capabilities)))
    )
    uses |= set(IDENTIFIER.findall(plain))
    kind = TYPE.search(plain)
    names = _names_before_parentheses(plain)
    if kind and (not names or plain.find(kind[0]) < plain.find(f"{names[0]}")):
        names = [*names, kind[1]]
    if not names or "=" in plain.partition("(")[0]:
        file.loose |= uses
    for name in names:
        file.definitions.setdefault(name, set()).update(uses - {name})


def _names_before_parentheses(plain: str) -> list[str]:
    return [name for name in CALLED.findall(plain) if name not in NOT_FUNCTIONS]


def _registrations(file: CxxFile, library: re.Match[str], body: str) -> None:
    """Each `impl("name", …)` and `def("name(schema)", …)` up to its semicolon."""
    for statement in _statements(body):
        entry = ENTRY.search(statement)
        if entry:
            after = COMMENT_OR_STRING.sub('""', statement[entry.end() :])
            uses = frozenset(IDENTIFIER.findall(after))
            file.registrations.append(
                Registration(
                    library=" ".join(library.group().split()),
                    space=library["space"].strip(),
                    name=entry["name"],
                    uses=uses,
                    defines=entry["verb"] == "def",
                )
            )
        else:
            file.loose |= set(IDENTIFIER.findall(COMMENT_OR_STRING.sub('""', statement)))


def _statements(body: str) -> Iterable[str]:
    start = 0
    for token in re.finditer(r"\"(?:\\.|[^\"\\\n])*\"|;", body):
        if token.group() == ";":
            yield body[start : token.start()]
            start = token.end()
