"""Variables, cache and environment of a CMake run, and the expansion of references."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from vllm_forge.release.cmake_syntax import Argument, Form
from vllm_forge.release.cmake_values import split_list

INNERMOST: Final = re.compile(r"\$(ENV|CACHE)?\{([^{}$]*)\}")
ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", ";": "\\;"}


@dataclass(frozen=True, slots=True)
class Word:
    """One argument after expansion; a quoted one is never taken for a variable's name by `if`."""

    text: str
    quoted: bool


@dataclass(slots=True)
class Scope:
    """`frames` holds one dictionary of variables for each function call, the innermost last.

    A function sees its caller's variables and changes only its own: each frame starts as a copy.
    `asked` collects the environment variables the run looks at.
    """

    environment: Mapping[str, str]
    frames: list[dict[str, str]] = field(default_factory=lambda: [{}])
    cache: dict[str, str] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    place: str = ""

    def get(self, name: str) -> str | None:
        value = self.frames[-1].get(name)
        return self.cache.get(name) if value is None else value

    def set(self, name: str, value: str) -> None:
        self.frames[-1][name] = value

    def unset(self, name: str) -> None:
        self.frames[-1].pop(name, None)

    def set_in_parent(self, name: str, value: str | None) -> None:
        frame = self.frames[-2] if len(self.frames) > 1 else self.frames[-1]
        if value is None:
            frame.pop(name, None)
        else:
            frame[name] = value

    def set_matches(self, found: re.Match[str] | None) -> None:
        """CMAKE_MATCH_0…, as `MATCHES` and `string(REGEX)` leave them."""
        groups = (found.group(), *found.groups()) if found else ()
        self.set("CMAKE_MATCH_COUNT", str(max(len(groups) - 1, 0)))
        for number, text in enumerate(groups):
            self.set(f"CMAKE_MATCH_{number}", text or "")

    def ask_environment(self, name: str) -> str | None:
        self.asked.setdefault(name, self.place)
        return self.environment.get(name)

    def expand(self, argument: Argument) -> list[Word]:
        """One argument as written → the words a command sees: unquoted lists become several."""
        if argument.form is Form.PARENTHESIS:
            return [Word(argument.text, quoted=False)]
        if argument.form is Form.BRACKET:
            return [Word(argument.text, quoted=True)]
        quoted = argument.form is Form.QUOTED
        text = argument.text
        if "$" in text or "\\" in text:
            text = self.resolve(text)
        if quoted or (text and ";" not in text):
            return [Word(text, quoted)]
        return [Word(part, quoted=False) for part in split_list(text) if part]

    def resolve(self, text: str) -> str:
        """References innermost first, then escapes. A value is not expanded again."""
        held: list[str] = []

        def hold(value: str) -> str:
            held.append(value)
            return f"\0{len(held) - 1}\0"

        def release(value: str) -> str:
            return re.sub(r"\0(\d+)\0", lambda match: held[int(match[1])], value)

        text = ESCAPE.sub(lambda match: hold(ESCAPES.get(match[1], match[1])), text)
        while True:
            text, count = INNERMOST.subn(
                lambda match: hold(self.value_of(match[1], release(match[2]))), text
            )
            if not count:
                return release(text)

    def value_of(self, space: str | None, name: str) -> str:
        if space == "ENV":
            return self.ask_environment(name) or ""
        if space == "CACHE":
            return self.cache.get(name, "")
        return self.get(name) or ""
