"""The seams to the world. Facts packages take them as arguments; `run/` holds the real ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Completed:
    """A finished process. `code` is negative for a signal, 127 when the program was not found."""

    code: int
    stdout: str
    stderr: str


class RunCommand(Protocol):
    """Run a short program to its end and return what it said.

    Never a shell, never raises for a failing program; one that outlives `timeout` seconds comes
    back with code -9, one that is not found with 127.
    """

    def __call__(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 30.0,
    ) -> Completed: ...


class ReadUrl(Protocol):
    """GET bytes. `start`/`stop` ask for that half-open byte range. `accept` is the Accept header.

    Raises Problem (exit 4) when the host cannot be reached or answers anything but success.
    """

    def __call__(
        self,
        url: str,
        *,
        accept: str | None = None,
        start: int | None = None,
        stop: int | None = None,
    ) -> bytes: ...
