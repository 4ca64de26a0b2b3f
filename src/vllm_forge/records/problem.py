"""The one exception that crosses packages, and the exit codes it can carry."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a shell sees. Stable: docs/exit-codes.md."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNREACHABLE = 4
    BAD_INPUT = 5
    BUG = 70
    INTERRUPTED = 130


class Problem(Exception):  # noqa: N818 -- it is what the user has, not what Python raised
    """A fact that stops the work.

    `message` states the fact in one line, with the offending path or value. `causes` are the facts
    beneath it, outermost first. `hints` are acts, each one paste-able. Making one does no work.
    `log` is the path of the failed step's log, set by whoever kept it.
    """

    def __init__(
        self,
        message: str,
        *,
        causes: tuple[str, ...] = (),
        hints: tuple[str, ...] = (),
        exit_code: ExitCode = ExitCode.FAILED,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.causes = causes
        self.hints = hints
        self.exit_code = exit_code
        self.log: str | None = None
