"""A log cut by structure, so that narrow patterns look only where their failure can stand.

Lines are first sorted by process (workers write into one log), then each process's lines are cut:
a Python traceback with its exception, a CMake error with its message, ninja's `FAILED:` with its
command and output, a compiler's or linker's diagnostic, the kernel's word, a front end's error
(pip, uv, cargo, git, argparse), a shell's complaint, a logger's line.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import takewhile

from vllm_forge.diagnose.text import Line


class Kind(StrEnum):
    EXCEPTION = "exception"
    CMAKE = "cmake"
    NINJA = "ninja"
    COMPILER = "compiler"
    LINKER = "linker"
    KERNEL = "kernel"
    FRONTEND = "frontend"
    SHELL = "shell"
    LOGGED = "logged"
    PLAIN = "plain"


HARD = frozenset(Kind) - {Kind.LOGGED, Kind.PLAIN}
"""A block of these kinds says that something failed; the others only speak of it."""


@dataclass(frozen=True, slots=True)
class Block:
    """`headline` indexes the line that names the failure: an exception's own, a diagnostic's.

    `within` is the line in which ninja says what failed. `quiet` marks a failure that its own
    program handled (a logged warning, an ignored exception, an optional import).
    """

    kind: Kind
    lines: tuple[Line, ...]
    headline: int = 0
    within: str = ""
    quiet: bool = False

    @property
    def number(self) -> int:
        return self.lines[0].number

    @property
    def text(self) -> str:
        return "\n".join(line.text for line in self.lines)


TRACEBACK = re.compile(r"Traceback \(most recent call last\):\s*$")
FRAME_LINE = re.compile(r'File ".+", line \d+(?:, in .+)?$')
EXCEPTION = re.compile(
    r"(?:E {2,})?(?:[A-Za-z_]\w*\.)*"
    r"(?:[A-Z]\w*(?:Error|Exception|Failure|Failed|Missing|NotFound|NotLoaded|Expired|ProcessPool"
    r"|InvalidCxxCompiler)"
    r"|SystemExit|KeyboardInterrupt|Unsupported|RayTaskError\(\w+\))(?::\s.*|:?$)"
    r"|terminate called (?:after|without|recursively)|Fatal Python error: "
)
PYDANTIC = "Value error, "
"""How a validator's message begins; it opens a block only where its exception's line is gone."""
CHAIN = re.compile(r"During handling of the above exception|The above exception was the direct")
IGNORED = re.compile(r"Exception ignored in|A matching Triton is not available")
CMAKE = re.compile(r"CMake Error\b")
NINJA_FAILED = re.compile(r"FAILED: \S")
NINJA_NEXT = re.compile(r"\[\d+/\d+\] |ninja: ")
COMPILER = re.compile(
    r"""
    \S.{0,300}?[:(]\d+(?::\d+|\))?:\ (?:internal\ compiler\ |fatal\ |catastrophic\ )?
      error(?:\ ?\#[\w-]*)?:\x20
  | \S*(?:cc1plus|cc1|c\+\+|gcc|clang|cicc|nvcc|g\+\+)(?:-\d+)?:\ (?:fatal\ |internal\ compiler\ )?
      error(?::|\ trying)\x20
  | (?:nvcc|ptxas|nvlink|fatbinary|cudafe\+\+|cicc)\ *(?:fatal|error)?\ *[:,]\x20
  | error\ +:\ '\w+'\ died|ptxas\ \S+,\ line\ \d+;\ error
  | <[\w-]+>:\ fatal\ error:\ |(?:\S+|\{standard\ input\}):\ Fatal\ error:\ |LLVM\ ERROR:\x20
  | \{standard\ input\}(?::\d+)?:\ Error:\ |fatal\ error:\ |internal\ compiler\ error:\x20
  | \S+\(\d+\):\ (?:fatal\ |catastrophic\ |internal\ )?error\b
    """,
    re.VERBOSE,
)
LINKER = re.compile(r"(?:\S*/)?(?:[\w.-]+-)?(?:ld|lld|ld\.\w+|collect2)(?:\.\w+)?: (?!warning)")
UNDEFINED_REFERENCE = "undefined reference to "
KERNEL = re.compile(
    r"^Killed\s*$|^virtual memory exhausted|: out of memory allocating \d"
    r"|\bKilled {2,}\S|Killed signal terminated program|internal compiler error: Killed"
    r"|\*\*\* \[.*\] Killed|signal: 9 \(SIGKILL\)|Process completed with exit code 137"
    r"|execute command: Killed|terminated with signal 9\b|oom_kill event"
    r"|not complete successfully: exit code: 137"
    r"|died due to signal 9|Killed process \d+|oom-kill:|invoked oom-killer|OOMKilled"
    r"|signal: 9, SIGKILL"
    r"|terminated by signal SIGKILL|[Ee]xit ?code:? -9\b|non-zero exit status (?:-9|137)\b"
)
KERNEL_WORDS = ("illed", "memory", "oom_", "signal", "oom-", "OOM", "-9", "137")
"""Every line that KERNEL finds has one of them; asking for them first is quicker."""
FRONTEND = re.compile(
    r"docker: |wget: |curl: \(\d+\) |failed to (?:register layer|solve): "
    r"|nvidia-container-cli: |ERROR: |error(?:\[E\d+\])?: |"
    r"× |fatal: |Error: |E: |💥 |cause: |[\w./-]+: error: |Caused by:"
    r"|CMake Generate step failed"
)
SHELL = re.compile(
    r"\S{1,200}: error while loading shared libraries: "
    r"|(?:/\S*/)?(?:ba|z|da|k)?sh: .*(?:not found|No such file or directory|Permission denied)"
    r"|\S{1,80}: line \d+: .*(?:not found|No such file or directory)"
    r"|Segmentation fault|Illegal instruction|Bus error"
    r"|Aborted(?: \(core dumped\))?$|Could not load library \S"
    r"|(?!fatal|error|ERROR)\S{1,80}: .*: No space left on device$|\S{1,200}: symbol lookup error: "
    r"|/\S{1,300}\.so[\w.]*: undefined symbol: |unable to execute '"
    r"|\S{1,200}: \S{1,300}: version `[\w.]+' not found"
)
ENDS_MESSAGE = re.compile(
    r"\[end of output\]|note: This |exit status \d|hint: See above|ninja: |-- |\$ "
)
DONE = re.compile(
    r"Successfully installed \S|Application startup complete|Installed \d+ packages? in"
)
"""Work that was done after all; what went wrong before it was overcome."""
TESTS_ENDED = re.compile(r"=+ .*\b\d+ (?:passed|failed)\b.* in [\d.]+s")
OPENERS = (TRACEBACK, FRAME_LINE, CHAIN, CMAKE, NINJA_FAILED, DONE, TESTS_ENDED)
MOST_MESSAGE_LINES = 30
MOST_NINJA_LINES = 80
LINES_OF_DIAGNOSTIC = 4


def cut_blocks(lines: Iterable[Line]) -> tuple[Block, ...]:
    """Every block of the log in the order in which they begin."""
    streams: dict[str, list[Line]] = {}
    for line in lines:
        streams.setdefault(line.process, []).append(line)
    blocks = [block for stream in streams.values() for block in _cut(stream)]
    return tuple(sorted(blocks, key=lambda block: block.number))


def _cut(lines: Sequence[Line]) -> Iterator[Block]:
    index, ignored = 0, False
    while index < len(lines):
        line = lines[index]
        if TRACEBACK.search(line.text) or FRAME_LINE.match(line.text):
            block, index = _traceback(lines, index, quiet=ignored)
            yield replace(block, quiet=True) if _was_tried_first(block, lines[index:]) else block
        elif NINJA_FAILED.match(line.text):
            end = _ninja_end(lines, index)
            body = lines[index:end]
            yield Block(Kind.NINJA, tuple(body))
            for inner in _cut(body[1:]):
                yield Block(inner.kind, inner.lines, inner.headline, line.raw, inner.quiet)
            index = end
        else:
            block, index = _single(lines, index)
            yield block
        ignored = bool(IGNORED.match(line.text))


def _single(lines: Sequence[Line], index: int) -> tuple[Block, int]:
    """A block that begins with a line that says what it is."""
    line = lines[index]
    if CMAKE.match(line.text):
        end = _message_end(lines, index + 1, CMAKE)
        return Block(Kind.CMAKE, tuple(lines[index:end])), end
    says = EXCEPTION.match(line.text) or line.text.startswith(PYDANTIC)
    if says and line.level not in {"INFO", "DEBUG"}:
        end = _message_end(lines, index + 1, EXCEPTION)
        quiet = line.level == "WARNING"
        return Block(Kind.EXCEPTION, tuple(lines[index:end]), quiet=quiet), end
    kind = _kind(line)
    if kind in {Kind.PLAIN, Kind.LOGGED}:
        return Block(kind, (line,)), index + 1
    if kind is Kind.FRONTEND:
        end = _message_end(lines, index + 1, FRONTEND)
    else:
        end = index + 1
        while end < min(len(lines), index + LINES_OF_DIAGNOSTIC) and _plain(lines[end]):
            end += 1
    return Block(kind, tuple(lines[index:end])), end


def _kind(line: Line) -> Kind:
    text = line.text
    if line.level not in {"INFO", "DEBUG", "WARNING"}:
        if any(word in text for word in KERNEL_WORDS) and KERNEL.search(text):
            return Kind.KERNEL
        if LINKER.match(text) or UNDEFINED_REFERENCE in text:
            return Kind.LINKER
        for kind, pattern in (
            (Kind.COMPILER, COMPILER),
            (Kind.SHELL, SHELL),
            (Kind.FRONTEND, FRONTEND),
        ):
            if pattern.match(text):
                return kind
    if line.level in {"WARNING", "ERROR", "CRITICAL"} or text.startswith("WARNING: "):
        return Kind.LOGGED
    return Kind.PLAIN


def _traceback(lines: Sequence[Line], start: int, *, quiet: bool) -> tuple[Block, int]:
    """Frames, then the exception's line and its message."""
    head = lines[start]
    index = start + 1 if TRACEBACK.search(head.text) else start
    base = head.indent if index > start else head.indent - 2
    while index < len(lines):
        line = lines[index]
        inside = line.indent > base or FRAME_LINE.match(line.text) or not line.text
        if EXCEPTION.match(line.text) and line.indent <= base:
            break
        if not inside or (index > start and TRACEBACK.search(line.text)):
            break
        index += 1
    quiet = quiet or head.level in {"WARNING", "INFO", "DEBUG"}
    if index >= len(lines) or not _names_exception(lines[index], base):
        return Block(
            Kind.EXCEPTION, tuple(lines[start:index]), index - start - 1, quiet=quiet
        ), index
    end = _message_end(lines, index + 1, EXCEPTION)
    return Block(Kind.EXCEPTION, tuple(lines[start:end]), index - start, quiet=quiet), end


def _was_tried_first(block: Block, after: Sequence[Line]) -> bool:
    """A download that a setup.py tries before it compiles: its failure is no more than context."""
    if not block.lines[block.headline].text.startswith("urllib.error."):
        return False
    following = next((line.text for line in after[:3] if line.text), "")
    return following.startswith("During handling of the above exception")


def _names_exception(line: Line, base: int) -> bool:
    return (
        bool(line.text)
        and line.indent <= base
        and re.match(r"[A-Za-z_][\w.]*\b", line.text) is not None
    )


def _message_end(lines: Sequence[Line], start: int, own: re.Pattern[str]) -> int:
    """Where a message that may go over several lines ends."""
    first = lines[start - 1]

    def goes_on(line: Line) -> bool:
        if ENDS_MESSAGE.match(line.text) or (line.level and not first.level):
            return False
        if EXCEPTION.match(line.text) or any(pattern.search(line.text) for pattern in OPENERS):
            return False
        kind = _kind(line)
        inside = own is FRONTEND or (own is CMAKE and line.indent > first.indent)
        return kind not in HARD or (kind is Kind.FRONTEND and inside)

    stop = min(len(lines), start + MOST_MESSAGE_LINES)
    end = start + sum(1 for _ in takewhile(goes_on, lines[start:stop]))
    while end > start and not lines[end - 1].text:
        end -= 1
    return end


def _ninja_end(lines: Sequence[Line], start: int) -> int:
    stop = min(len(lines), start + MOST_NINJA_LINES)
    for index in range(start + 1, stop):
        text = lines[index].text
        if NINJA_NEXT.match(text) or NINJA_FAILED.match(text) or TRACEBACK.search(text):
            return index
    return stop


def _plain(line: Line) -> bool:
    return _kind(line) is Kind.PLAIN and not any(pattern.match(line.text) for pattern in OPENERS)
