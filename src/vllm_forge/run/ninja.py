"""Ninja: what it says, what runs under it, and the order it starts things in."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

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


def order_longest_first(build: str, cost: Callable[[str], float]) -> str:
    """build.ninja with its compile edges in falling order of `cost(source path)`.

    ninja (up to 1.13) takes every edge to be equally long and breaks ties by the order in the file;
    a long file started last is waited for alone. Only blocks that compile an object change places,
    each into the place of another.
    """
    blocks = re.split(r"(?m)^(?=build |rule |#####)", build)
    places = [place for place, block in enumerate(blocks) if OBJECT.match(block)]
    ordered = sorted((blocks[place] for place in places), key=lambda block: -cost(_source(block)))
    for place, block in zip(places, ordered, strict=True):
        blocks[place] = block
    return "".join(blocks)


OBJECT = re.compile(r"build (\S+\.o): (?:C|CXX|CUDA)_COMPILER\S* (\S+)")


def _source(block: str) -> str:
    match = OBJECT.match(block)
    return match[2] if match else ""


def cost_of(source: str, *, learned: Mapping[str, float], size: Callable[[str], int]) -> float:
    """Seconds a file took before, by its path below csrc; else guessed from its size.

    The guess only orders files that were never compiled: 20 s for torch's headers and a second for
    each kilobyte of its own (docs/measurements.md).
    """
    name = source[source.find("csrc/") :] if "csrc/" in source else source
    return learned.get(name, 20.0 + size(source) / 1024)


def compiling_below(process: int, proc: Path = Path("/proc")) -> tuple[tuple[str, ...], int]:
    """Names of the objects being compiled below `process`, and the memory of all below, in bytes.

    Proportional memory is dear to read; this is the sum of resident sizes.
    """
    names: list[str] = []
    resident = 0
    for child in _descendants(process, proc):
        try:
            words = (proc / str(child) / "cmdline").read_bytes().split(b"\0")
            pages = int((proc / str(child) / "statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            continue
        resident += pages * 4096
        if b"-o" in words[:-1] and not words[0].endswith((b"ninja", b"cc1plus", b"as")):
            output = words[words.index(b"-o") + 1].decode(errors="replace")
            names.append(output.rsplit("/", 1)[-1].removesuffix(".o"))
    return tuple(dict.fromkeys(names)), resident


def _descendants(process: int, proc: Path) -> Iterable[int]:
    try:
        tasks = list((proc / str(process) / "task").iterdir())
    except OSError:
        return
    for task in tasks:
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            yield int(child)
            yield from _descendants(int(child), proc)
