"""A log of any size in bounded memory: its head, its tail, and what smells of failure between.

The scan works on batches of joined lines with `bytes.find`, which runs at memory speed; a loop with
a test for each line would take longer than the two seconds we allow for 50 MB.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol

HEAD_LINES = 2000
TAIL_LINES = 2000
MIDDLE_LINES = 12000
BATCH_LINES = 4096
BATCH_BYTES = 1 << 20
LINES_BEFORE = 3
LINES_AFTER = 60
LINES_AFTER_WEAK = 4
REPEATS = 20
"""A line that differs from earlier ones in its digits only is kept this often."""
KNOWN_LINES = 50_000
HITS_OF_BATCH = 200
"""After this many hits of one trigger the rest of a batch is read for the other triggers only."""
LINE_BYTES = 4000
READ_BYTES = 1 << 16
DIGITS = b"0123456789"

STRONG = (
    b"traceback",
    b"cmake error",
    b"fatal",
    b"killed",
    b"no space",
    b"exception",
)
"""Lower case. What follows such a line belongs to the failure."""
STRONG_ENDINGS = {b"error": b": ", b"fail": b"ed:"}
"""A weak trigger that goes on so is a strong one: one search finds both."""
WEAK = (
    b"error",
    b"fail",
    b"cannot ",
    b"not found",
    b"undefined",
    b"out of memory",
    b"could not",
    b"uninstalling torch",
    b" - torch==",
    b"unable to",
)
"""Lower case. A line with none of either is kept only near one that has one, or at an end."""
TRIGGERS = (*STRONG, *WEAK)


class ReadsLines(Protocol):
    """What an open binary file offers."""

    def readline(self, limit: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class RawLine:
    """`number` counts from 1; `data` is without its newline and cut to `LINE_BYTES`."""

    number: int
    data: bytes


def log_lines(stream: ReadsLines) -> Iterator[bytes]:
    """The lines of an open binary file; a line longer than 64 KiB keeps its two ends."""
    while piece := stream.readline(READ_BYTES):
        if piece.endswith(b"\n") or len(piece) < READ_BYTES:
            yield piece
            continue
        last = rest = piece
        while rest and not rest.endswith(b"\n"):
            last, rest = rest, stream.readline(READ_BYTES)
        yield piece + last[-READ_BYTES // 2 :] + rest.rstrip(b"\n") + b"\n"


def sample_lines(lines: Iterable[bytes | str]) -> tuple[RawLine, ...]:
    """The lines worth reading, in order. Each item is one line, with or without its newline."""
    kept: dict[int, bytes] = {}
    tail: deque[tuple[int, bytes]] = deque(maxlen=TAIL_LINES)
    seen: dict[bytes, int] = {}
    room = MIDDLE_LINES
    keep_until = 0
    start = 1
    for batch in _batches(lines):
        if start <= HEAD_LINES:
            for number, line in enumerate(batch[: HEAD_LINES - start + 1], start):
                kept[number] = _cut(line)
        if room > 0:
            wanted = set(range(min(len(batch), max(0, keep_until - start + 1))))
            for index, after in _hits(batch, seen):
                wanted.update(range(max(0, index - LINES_BEFORE), min(len(batch), index + after)))
                keep_until = max(keep_until, start + index + after)
            for index in sorted(wanted)[:room]:
                kept[start + index] = _cut(batch[index])
            room -= len(wanted)
        tail.extend(enumerate(batch[-TAIL_LINES:], start + max(0, len(batch) - TAIL_LINES)))
        start += len(batch)
    for number, line in tail:
        kept[number] = _cut(line)
    return tuple(RawLine(number, kept[number]) for number in sorted(kept))


def _batches(lines: Iterable[bytes | str]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for item in lines:
        line = item.encode(errors="replace") if isinstance(item, str) else item
        batch.append(line if line.endswith(b"\n") else line + b"\n")
        size += len(line)
        if len(batch) >= BATCH_LINES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _hits(batch: list[bytes], seen: dict[bytes, int]) -> Iterator[tuple[int, int]]:
    """Index of a line that smells of failure, and how many lines belong to it.

    `seen` counts lines without their digits over all batches: a warning that is printed for each
    of five hundred files must not crowd out the failure after it.
    """
    text = b"".join(batch).lower()
    ends = list(accumulate(map(len, batch)))
    hits: dict[int, int] = {}
    for trigger in TRIGGERS:
        after = LINES_AFTER if trigger in STRONG else LINES_AFTER_WEAK
        ending = STRONG_ENDINGS.get(trigger)
        position = text.find(trigger)
        found = 0
        while position >= 0 and found < HITS_OF_BATCH:
            index = bisect_right(ends, position)
            strong = ending and text.startswith(ending, position + len(trigger))
            hits[index] = max(hits.get(index, 0), LINES_AFTER if strong else after)
            found += 1
            position = text.find(trigger, ends[index])
    for index in sorted(hits):
        shape = batch[index][:200].translate(None, DIGITS)
        count = seen.get(shape, 0) + 1
        if count > 1 or len(seen) < KNOWN_LINES:
            seen[shape] = count
        if count <= REPEATS:
            yield index, hits[index]


def _cut(line: bytes) -> bytes:
    """Both ends of a line that is too long, and what stands around its first trigger."""
    line = line.rstrip(b"\r\n")
    if len(line) <= LINE_BYTES:
        return line
    third = LINE_BYTES // 3
    lower = line.lower()
    found = [at for at in (lower.find(trigger) for trigger in TRIGGERS) if at > third]
    middle = line[max(third, min(found) - third // 2) :][:third] if found else b""
    return b" ... ".join(part for part in (line[:third], middle, line[-third:]) if part)
