"""A dead engine's log → the error that started it, and what mends that."""

from pathlib import Path
from typing import Final

from vllm_forge.diagnose.explain import explain
from vllm_forge.diagnose.registry import UNKNOWN
from vllm_forge.diagnose.sample import RawLine
from vllm_forge.diagnose.text import read_line
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.verify.environment import root_error

TAIL_BYTES: Final = 4 << 20
"""A server's log may be as long as its life; an engine's death is at the end."""
MOST_LINES: Final = 3
LONGEST: Final = 400
"""Characters of a line: pydantic's carries all arguments behind what it has to say."""


def engine_failure(message: str, log: Path) -> Problem:
    """`message` says what did not happen; the root error and the known cause stand beneath it.

    vLLM's last line is «See root cause above»: it is not what is shown.
    """
    said = read_tail(log, TAIL_BYTES)
    findings = explain(said.splitlines())
    root = root_error(said)
    known: tuple[str, ...] = ()
    fixes: tuple[str, ...] = ()
    if findings:
        first = findings[0]
        root = tuple(own_words(line) for line in first.evidence[:MOST_LINES])
        if first.code != UNKNOWN:
            known, fixes = (f"{first.code}: {first.cause}",), first.fix
    return Problem(
        message,
        causes=(*(root or ("it said nothing",)), *known),
        hints=(*fixes, f"the engine's whole log: {log}"),
        exit_code=ExitCode.FAILED,
    )


def own_words(line: str) -> str:
    """Without the process, time and logger that vLLM puts in front."""
    words = " ".join(read.text for read in read_line(RawLine(1, line.encode())))
    return "".join(letter for letter in words if letter.isprintable())[:LONGEST]


def read_tail(log: Path, size: int) -> str:
    """The last `size` bytes; nothing where there is no log."""
    try:
        with log.open("rb") as data:
            data.seek(max(0, data.seek(0, 2) - size))
            return data.read(size).decode(errors="replace")
    except OSError:
        return ""
