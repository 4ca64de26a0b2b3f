"""The condition of `if`, `elseif` and `while`: cmake-commands(7) `if`, policy CMP0054 NEW."""

import operator
from collections.abc import Callable
from typing import Final, Protocol

from vllm_forge.release.cmake_scope import Scope, Word
from vllm_forge.release.cmake_values import (
    compare_versions,
    compile_regex,
    is_false_constant,
    is_true_constant,
    split_list,
)

COMPARISONS: Final[dict[str, Callable[[int, int], bool]]] = {
    "LESS": operator.lt,
    "GREATER": operator.gt,
    "EQUAL": operator.eq,
    "LESS_EQUAL": operator.le,
    "GREATER_EQUAL": operator.ge,
}
UNARY: Final = frozenset({"DEFINED", "EXISTS", "IS_DIRECTORY", "IS_ABSOLUTE", "TARGET"})
BINARY: Final = frozenset(
    {"MATCHES", "IN_LIST"}
    | {f"{prefix}{name}" for prefix in ("", "STR", "VERSION_") for name in COMPARISONS}
)


class Surroundings(Protocol):
    """What a condition may ask beside variables."""

    def exists(self, path: str) -> bool: ...

    def is_target(self, name: str) -> bool: ...


class Condition:
    """Recursive descent over the words of one condition: tests joined by AND and OR.

    The two have the same precedence and are taken from left to right, and every test is evaluated,
    as CMake does it (tests/real asks it).
    """

    def __init__(self, words: list[Word], scope: Scope, surroundings: Surroundings) -> None:
        self._words = words
        self._next = 0
        self._scope = scope
        self._surroundings = surroundings

    def holds(self) -> bool:
        held = self._negation()
        while True:
            if self._take("AND"):
                held &= self._negation()
            elif self._take("OR"):
                held |= self._negation()
            else:
                return held

    def _negation(self) -> bool:
        if self._take("NOT"):
            return not self._negation()
        if self._take("("):
            held = self.holds()
            self._take(")")
            return held
        return self._test()

    def _take(self, keyword: str) -> bool:
        if self._next < len(self._words):
            word = self._words[self._next]
            if word.text == keyword and not word.quoted:
                self._next += 1
                return True
        return False

    def _take_word(self) -> Word:
        self._next += 1
        words = self._words
        return words[self._next - 1] if self._next <= len(words) else Word("", quoted=True)

    def _test(self) -> bool:
        word = self._take_word()
        if not word.quoted and word.text in UNARY:
            return self._unary(word.text, self._take_word().text)
        if self._next < len(self._words):
            operation = self._words[self._next]
            if not operation.quoted and operation.text in BINARY:
                self._next += 1
                return self._binary(word, operation.text, self._take_word())
        return self._truth(word)

    def _truth(self, word: Word) -> bool:
        """A constant, else the name of a variable; a quoted word is true only as a constant."""
        if is_true_constant(word.text):
            return True
        if is_false_constant(word.text) or word.quoted:
            return False
        value = self._scope.get(word.text)
        return value is not None and not is_false_constant(value)

    def _unary(self, test: str, subject: str) -> bool:
        tests: dict[str, Callable[[str], bool]] = {
            "DEFINED": self._defined,
            "IS_ABSOLUTE": lambda path: path.startswith("/"),
            "TARGET": self._surroundings.is_target,
        }
        return tests.get(test, self._surroundings.exists)(subject)

    def _defined(self, subject: str) -> bool:
        if subject.startswith("ENV{"):
            return self._scope.ask_environment(subject[4:-1]) is not None
        if subject.startswith("CACHE{"):
            return subject[6:-1] in self._scope.cache
        return self._scope.get(subject) is not None

    def _binary(self, left: Word, operation: str, right: Word) -> bool:
        ours = self._value(left)
        if operation == "IN_LIST":
            return ours in split_list(self._scope.get(right.text) or "")
        if operation == "MATCHES":
            return self._matches(ours, right.text)
        theirs = self._value(right)
        if operation.startswith("VERSION_"):
            compare = COMPARISONS[operation.removeprefix("VERSION_")]
            return compare(compare_versions(ours, theirs), 0)
        if operation.startswith("STR"):
            compare = COMPARISONS[operation.removeprefix("STR")]
            return compare((ours > theirs) - (ours < theirs), 0)
        try:
            return COMPARISONS[operation](int(ours), int(theirs))
        except ValueError:
            return False

    def _matches(self, text: str, pattern: str) -> bool:
        found = compile_regex(pattern).search(text)
        if found is not None:
            self._scope.set_matches(found)
        return found is not None

    def _value(self, word: Word) -> str:
        """An unquoted word that names a variable stands for its value."""
        value = None if word.quoted else self._scope.get(word.text)
        return word.text if value is None else value
