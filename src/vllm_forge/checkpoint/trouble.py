"""The words of a bad checkpoint: one line, the path first, nothing a terminal would obey."""

from pathlib import Path

from vllm_forge.records.problem import ExitCode, Problem

LONGEST = 160
"""Characters of somebody else's text that are shown."""


def bad_checkpoint(message: str, *hints: str) -> Problem:
    """Exit 5."""
    return Problem(message, hints=hints, exit_code=ExitCode.BAD_INPUT)


def unreadable(path: Path, error: OSError) -> Problem:
    """A file that the system does not give us: missing, a symbolic link loop, no permission."""
    return bad_checkpoint(f"{shown(str(path))}: {error.strerror or error}")


def shown(text: str) -> str:
    """Untrusted text on one line: what is not printable escaped, the middle of a long one left out.

    Lone surrogates and bidirectional overrides are not printable either.
    """
    short = text if len(text) <= LONGEST else f"{text[:120]}…{text[-36:]}"
    if short.isprintable():
        return short
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape", "surrogatepass").decode()
        for character in short
    )
