"""Ninja: what it says while it works, and what it leaves behind."""

import re
from dataclasses import dataclass

STATUS = "\x1e%f %t\x1f"
"""NINJA_STATUS: a record separator, finished and total edges, a unit separator, the description."""

RECORD = re.compile(r"^\x1e(\d+) (\d+)\x1f(.*)$")


@dataclass(frozen=True, slots=True)
class Progress:
    done: int
    total: int
    description: str


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of .ninja_log: milliseconds since that ninja started, and the output's path."""

    start_ms: int
    end_ms: int
    output: str

    @property
    def seconds(self) -> float:
        return (self.end_ms - self.start_ms) / 1000


def parse_status(line: str) -> Progress | None:
    r"""A line written under `STATUS`, None for any other.

    >>> parse_status("\x1e3 9\x1fBuilding CXX object a.cpp.o")
    Progress(done=3, total=9, description='Building CXX object a.cpp.o')
    """
    match = RECORD.match(line)
    return Progress(int(match[1]), int(match[2]), match[3]) if match else None


def parse_ninja_log(text: str) -> tuple[LogEntry, ...]:
    r"""Entries of a .ninja_log (v5 to v7), the last for each output.

    >>> parse_ninja_log("# ninja log v7\n1\t38215\t17\ta.cpp.o\tff\n")
    (LogEntry(start_ms=1, end_ms=38215, output='a.cpp.o'),)
    """
    last: dict[str, LogEntry] = {}
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) == len(("start", "end", "mtime", "output", "hash")):
            start, end, _, output, _ = fields
            if start.isdecimal() and end.isdecimal():  # a death while writing leaves half a line
                last[output] = LogEntry(int(start), int(end), output)
    return tuple(last.values())
