"""Runs CMake's control flow over parsed files; commands with an effect come as handlers.

A run changes nothing: what it would build, fetch and say is left to the handlers to write down.
Commands without a handler are skipped and their names kept in `skipped`; calls that a handler could
not carry out are kept in `not_understood`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from vllm_forge.release.cmake_blocks import Body, Conditional, Definition, Loop, Node
from vllm_forge.release.cmake_conditions import Condition, Surroundings
from vllm_forge.release.cmake_scope import Scope, Word
from vllm_forge.release.cmake_syntax import Argument, Command, Form
from vllm_forge.release.cmake_values import join_list, split_list


@dataclass(frozen=True, slots=True)
class Call:
    """One command about to run: its words after expansion.

    `place` is `FILE:LINE`; inside functions and macros that of the outermost call, which is where
    the project's own decision stands.
    """

    name: str
    words: tuple[str, ...]
    place: str


Handler = Callable[[Scope, Call], None]


class Return(Exception):  # noqa: N818 -- control flow, not an error
    pass


class Break(Exception):  # noqa: N818 -- control flow, not an error
    pass


class Continue(Exception):  # noqa: N818 -- control flow, not an error
    pass


class NotUnderstood(Exception):  # noqa: N818 -- the run goes on without it
    """A handler met an operation it does not know: `list(TRANSFORM …)`."""


LEAVES: Final = {"return": Return, "break": Break, "continue": Continue}


class Stopped(Exception):  # noqa: N818 -- CMake's word is FATAL_ERROR
    """`message(FATAL_ERROR …)`: configure ends here."""

    def __init__(self, message: str, place: str) -> None:
        super().__init__(message)
        self.message = message
        self.place = place


class Evaluator:
    """One configure run.

    `on_return` is told of every function or macro that has ended, with the words it was called
    with, while its caller's scope is current again.
    """

    def __init__(
        self,
        scope: Scope,
        surroundings: Surroundings,
        handlers: Mapping[str, Handler],
        on_return: Handler = lambda _scope, _call: None,
    ) -> None:
        self.scope = scope
        self.definitions: dict[str, tuple[Definition, str]] = {}
        self.skipped: set[str] = set()
        self.not_understood: list[Call] = []
        self._surroundings = surroundings
        self._handlers = handlers
        self._on_return = on_return
        self._file = ""
        self._calls: list[str] = []

    def run_file(self, body: Body, path: str, directory: str) -> None:
        """Run a file in the current scope; `directory` becomes CMAKE_CURRENT_LIST_DIR."""
        caller, listed = self._file, self.scope.get("CMAKE_CURRENT_LIST_DIR")
        self._file = path
        self.scope.set("CMAKE_CURRENT_LIST_DIR", directory)
        try:
            self.run(body)
        except Return:
            pass
        finally:
            self._file = caller
            self.scope.set("CMAKE_CURRENT_LIST_DIR", listed or directory)

    def run(self, body: Body) -> None:
        for node in body:
            self._run_node(node)

    def _run_node(self, node: Node) -> None:
        match node:
            case Command():
                self._run_command(node)
            case Conditional():
                for branch in node.branches:
                    if branch.condition is None or self._holds(branch.condition):
                        self.run(branch.body)
                        break
            case Loop():
                self._loop(node)
            case Definition():
                self.definitions[node.name] = (node, self._file)

    def _holds(self, command: Command) -> bool:
        self.scope.place = self._place(command)
        return Condition(self._expand(command), self.scope, self._surroundings).holds()

    def _place(self, command: Command) -> str:
        return self._calls[0] if self._calls else f"{self._file}:{command.line}"

    def _expand(self, command: Command) -> list[Word]:
        return [word for argument in command.arguments for word in self.scope.expand(argument)]

    def _run_command(self, command: Command) -> None:
        self.scope.place = place = self._place(command)
        if command.name in LEAVES:
            raise LEAVES[command.name]
        words = tuple(word.text for word in self._expand(command))
        call = Call(command.name, words, place)
        handler = self._handlers.get(command.name)
        definition = self.definitions.get(command.name)
        if handler is not None:
            try:
                handler(self.scope, call)
            except NotUnderstood:
                self.not_understood.append(call)
        elif definition is not None:
            self._calls.append(place)
            self._call(*definition, words)
            self._calls.pop()
            self._on_return(self.scope, call)
        else:
            self.skipped.add(command.name)

    def _call(self, definition: Definition, file: str, words: tuple[str, ...]) -> None:
        """Run a function in a frame of its own, a macro in its caller's with replaced text."""
        named = dict(zip(definition.parameters, words, strict=False))
        rest = words[len(definition.parameters) :]
        values = {
            **named,
            "ARGC": str(len(words)),
            "ARGV": join_list(list(words)),
            "ARGN": join_list(list(rest)),
            **{f"ARGV{number}": word for number, word in enumerate(words)},
        }
        caller, self._file = self._file, file
        try:
            if definition.macro:
                self.run(tuple(substitute(node, values) for node in definition.body))
            else:
                self._run_function(definition.body, values)
        finally:
            self._file = caller

    def _run_function(self, body: Body, values: Mapping[str, str]) -> None:
        self.scope.frames.append({**self.scope.frames[-1], **values})
        try:
            self.run(body)
        except Return:
            pass
        finally:
            self.scope.frames.pop()

    def _loop(self, loop: Loop) -> None:
        if loop.header.name == "while":
            while self._holds(loop.header):
                if not self._run_once(loop.body):
                    return
            return
        words = [word.text for word in self._expand(loop.header)]
        if not words:
            return
        name, values = words[0], self._loop_values(words[1:])
        before = self.scope.get(name)
        for value in values:
            self.scope.set(name, value)
            if not self._run_once(loop.body):
                break
        if before is None:
            self.scope.unset(name)
        else:
            self.scope.set(name, before)

    def _run_once(self, body: Body) -> bool:
        """Whether the loop goes on."""
        try:
            self.run(body)
        except Continue:
            return True
        except Break:
            return False
        return True

    def _loop_values(self, words: list[str]) -> list[str]:
        match words:
            case ["RANGE", *bounds]:
                numbers = [int(bound) for bound in bounds]
                start, stop, step = (*((0, *numbers) if len(numbers) == 1 else numbers), 1)[:3]
                return [str(number) for number in range(start, stop + 1, step)]
            case ["IN", "LISTS", *names]:
                lists = names[: names.index("ITEMS")] if "ITEMS" in names else names
                items = names[len(lists) + 1 :]
                return [v for name in lists for v in split_list(self.scope.get(name) or "")] + items
            case ["IN", "ITEMS", *items]:
                return items
            case _:
                return words


def substitute(node: Node, values: Mapping[str, str]) -> Node:
    """A macro's body with `${parameter}` replaced before anything is expanded."""
    match node:
        case Command():
            return substitute_command(node, values)
        case Conditional():
            return Conditional(
                tuple(
                    replace(
                        branch,
                        condition=branch.condition and substitute_command(branch.condition, values),
                        body=tuple(substitute(inner, values) for inner in branch.body),
                    )
                    for branch in node.branches
                )
            )
        case Loop():
            body = tuple(substitute(inner, values) for inner in node.body)
            return Loop(substitute_command(node.header, values), body)
        case Definition():
            return node


def substitute_command(command: Command, values: Mapping[str, str]) -> Command:
    if not any("${" in argument.text for argument in command.arguments):
        return command
    return replace(
        command,
        arguments=tuple(substitute_argument(argument, values) for argument in command.arguments),
    )


def substitute_argument(argument: Argument, values: Mapping[str, str]) -> Argument:
    text = argument.text
    if argument.form is Form.BRACKET or "${" not in text:
        return argument
    for name, value in values.items():
        text = text.replace(f"${{{name}}}", value)
    return replace(argument, text=text)
