"""What programs said about themselves, kept while their files stay the same.

A doctor asks two dozen programs for their version. Each answer is a function of the program's file,
so it is kept under the file's path, modification time and size, and asked for again only when one
of them changed.
"""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar

import msgspec

from vllm_forge.records.doors import Completed, RunCommand

T = TypeVar("T")
R = TypeVar("R")

TIMEOUT: Final = 10.0
"""Seconds a program may take to say its version (nvidia-smi without persistence takes three)."""
AT_ONCE: Final = 8
FILE_NAME: Final = "probe-cache.json"
SHIM_FOLDER: Final = "shims"
"""pyenv, asdf and mise put scripts there whose answer depends on other files than themselves."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one question got, and the state of the program's file then."""

    mtime_ns: int
    size: int
    stdout: str
    stderr: str


class Answers:
    """Asks programs about themselves and remembers. Safe to use from several threads."""

    def __init__(
        self, run: RunCommand, *, environ: Mapping[str, str], kept: Mapping[str, Answer]
    ) -> None:
        self._run = run
        # C: compilers and nvidia-smi translate their own words. PYTHON*: an interpreter asked about
        # itself must not meet another one's modules.
        self._environ = {
            name: value for name, value in environ.items() if not name.startswith("PYTHON")
        } | {"LC_ALL": "C"}
        self._kept = kept
        self._lock = Lock()
        self.used: dict[str, Answer] = {}

    def ask(self, program: Path, *arguments: str, remember: bool = True) -> Completed:
        """Run `program arguments`, or repeat what it said. `remember` False: always run it.

        Only success is remembered: a failure may be cured without touching the program's file.
        """
        remember = remember and SHIM_FOLDER not in program.parts
        try:
            state = program.stat()
        except OSError as error:
            return Completed(127, "", str(error))
        question = "\0".join((str(program), *arguments))
        kept = self._kept.get(question)
        if remember and kept and (kept.mtime_ns, kept.size) == (state.st_mtime_ns, state.st_size):
            answer = kept
        else:
            said = self._run([program, *arguments], env=self._environ, timeout=TIMEOUT)
            if said.code != 0 or not remember:
                return said
            answer = Answer(state.st_mtime_ns, state.st_size, said.stdout, said.stderr)
        with self._lock:
            self.used[question] = answer
        return Completed(0, answer.stdout, answer.stderr)


def parse_answers(text: bytes) -> dict[str, Answer]:
    """The kept file. Anything that is not one is as good as none: the answers are asked again."""
    try:
        return msgspec.json.decode(text, type=dict[str, Answer])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def read_answers(home: Path) -> dict[str, Answer]:
    """Kept answers; {} where there are none."""
    try:
        return parse_answers((home / FILE_NAME).read_bytes())
    except OSError:
        return {}


def keep_answers(home: Path, answers: Mapping[str, Answer]) -> None:
    """Write atomically. A question makes no folder: without a home nothing is kept.

    A home that cannot be written (another user's, a full disk) costs speed, not the answer.
    """
    if not home.is_dir():
        return
    with contextlib.suppress(OSError):
        descriptor, name = tempfile.mkstemp(dir=home, prefix=FILE_NAME)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(dict(answers)))
            Path(name).replace(home / FILE_NAME)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise


def in_parallel(question: Callable[[T], R], about: Iterable[T]) -> tuple[R, ...]:
    """`question` of each, in order; they wait for processes, so threads do."""
    each = tuple(about)
    if len(each) <= 1:
        return tuple(question(one) for one in each)
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return tuple(pool.map(question, each))
