"""What an edit of a CMake file amounts to: comments and new sources are told from the rest."""

import re
from collections import Counter
from typing import Final

from vllm_forge.records.problem import Problem
from vllm_forge.release.cmake_syntax import Argument, Command, parse_cmake

SOURCE: Final = re.compile(r"csrc/[\w./+-]+\.(?:c|cc|cpp|cxx|cu)")


def added_sources(before: str, after: str) -> frozenset[str] | None:
    """Files of csrc that `after` lists and `before` does not, where that is all that differs.

    Comments and layout do not count. None where anything else differs, a file that is no longer
    listed included: whose it was, `after` does not say.

    >>> added_sources('set(S "csrc/a.cu") # x', 'set(S "csrc/a.cu" "csrc/b.cu")')
    frozenset({'csrc/b.cu'})
    >>> added_sources('set(S "csrc/a.cu")', "set(S)")
    """
    try:
        commands = [parse_cmake(text, origin="") for text in (before, after)]
    except Problem:
        return None
    old, new = commands
    if [_without_sources(one) for one in old] != [_without_sources(one) for one in new]:
        return None
    added: set[str] = set()
    for one, other in zip(old, new, strict=True):
        had, has = Counter(_sources(one)), Counter(_sources(other))
        if had - has:
            return None
        added |= (has - had).keys()
    return frozenset(added)


def _sources(command: Command) -> list[str]:
    return [argument.text for argument in command.arguments if SOURCE.fullmatch(argument.text)]


def _without_sources(command: Command) -> tuple[str, tuple[Argument, ...]]:
    kept = (one for one in command.arguments if not SOURCE.fullmatch(one.text))
    return command.name, tuple(kept)
