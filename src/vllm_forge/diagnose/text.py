"""What others put in front of a line, taken off: colours, builders, CI, processes, loggers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vllm_forge.diagnose.sample import RawLine

ESCAPES = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[@-_]|\[(?:\d{1,3};)*\d{1,2}m"
)
"""ANSI control sequences; the last form is what is left of one whose escape byte was lost."""

PREFIX = re.compile(
    r"""
    (?:>\ )+                                                      # quoted in an issue
  | \#\d+\ (?:\d+\.\d+\ )?                                        # docker buildx: #12 34.5
  | \d{1,5}\.\d{1,3}\ (?=\S|\ )                                   # docker build error: 10.14
  | [\w.-]{1,60}[-_]\d+\ +\|\ ?                                   # docker compose: vllm-1  |
  | \[?\d{4}-\d\d-\d\d[T\ ]\d\d:\d\d:\d\d(?:[.,]\d+)?\ ?(?:Z|UTC|[+-]\d\d:?\d\d)?\]?(?:\s|$)
  | \[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?\s                            # Jenkins
  | [A-Z][a-z]{2}\ [\ \d]\d\ \d\d:\d\d:\d\d\ \S+\ [\w@./-]+\[\d+\]:\s   # journal
  | (?:DEFAULT|INFO|WARNING|ERROR)\ \d{4}-\d\d-\d\dT\S+Z\s         # Google Cloud: its own level
  | (?:stdout|stderr)\ [FP]\ (?=\S|\ )                            # Kubernetes
  | \#\#\[\w+\]                                                   # GitHub Actions
  | (?P<process>\([^()]{0,80}\bpid=[^()]{1,80}\)|\[(?:rank|default)\d+\]:)\ ?
  | (?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL)\ +(?=\d\d-\d\d\ |\[)
      (?:\d\d-\d\d\ \d\d:\d\d:\d\d(?:\.\d+)?)?
      (?:\ ?\[?[^\s\]]{1,100}\.py:\d+\])?(?:\ |$)                  # vLLM's logger
  | \[?(?P<torch>[EWIF])\d{3,4}\ \d\d:\d\d:\d\d(?:\.\d+)?\ .{1,80}?\]\ ?   # torchrun, glog
    """,
    re.VERBOSE,
)
LOGGER = re.compile(
    r"(?:\([^()]{0,80}\bpid=[^()]{1,80}\)\ *)*"
    r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) +\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?"
    r" \[?[^\s\]]{1,100}\.py:\d+\]"
)
"""vLLM's logger behind a prefix that we do not know."""
MOST_BEFORE_LOGGER = 80
SHORT_LEVEL = re.compile(r"(?P<level>ERROR|WARNING|INFO) (?! *-)(?=[ A-Z])")
"""A level alone after a process prefix: what is left when a log was shortened by hand."""
FRAME = re.compile(r"[│┃|] ?")
CONTAINER_JSON = re.compile(r'\{"log":"(.*?)(?:\\n)?","stream":"')
TORCH_LEVELS = {"E": "ERROR", "W": "WARNING", "I": "INFO"}
MOST_PREFIXES = 8
MOST_PARTS = 40


@dataclass(frozen=True, slots=True)
class Line:
    """One line as its program wrote it.

    `raw` is the line as it stands in the log, without colours: what a user can search for.
    `text` is without prefixes and indentation, `indent` the columns taken off last. `process` is
    the tag of the process that wrote it ("" where there is none), `level` that of its logger.
    """

    number: int
    raw: str
    text: str
    indent: int
    process: str
    level: str


def read_line(line: RawLine) -> Iterator[Line]:
    """One raw line; several where a progress bar rewrote itself with carriage returns."""
    whole = ESCAPES.sub("", line.data.decode(errors="replace")).rstrip()
    if "\r" not in whole:
        yield _strip(line.number, whole)
        return
    for part in [part for part in whole.split("\r") if part.strip()][-MOST_PARTS:]:
        yield _strip(line.number, part.rstrip())


def _strip(number: int, raw: str) -> Line:
    text, process, level = raw, "", ""
    if wrapped := CONTAINER_JSON.match(text):
        text = wrapped[1].replace('\\"', '"').replace("\\t", "\t").replace("\\u003c", "<")
    for _ in range(MOST_PREFIXES):
        if ".py:" in text and (logger := LOGGER.search(text, 0, MOST_BEFORE_LOGGER * 3)):
            text = text[logger.start() :] if logger.start() <= MOST_BEFORE_LOGGER else text
        bare = text.lstrip()
        match = PREFIX.match(bare)
        if match is None and process and not level:
            match = SHORT_LEVEL.match(bare)
        if match is None:
            break
        found = match.groupdict()
        process = found.get("process") or process
        level = found.get("level") or TORCH_LEVELS.get(found.get("torch") or "", level)
        text = bare[match.end() :]
    bare = text.lstrip()
    if frame := FRAME.match(bare):
        bare = bare[frame.end() :]
    return Line(number, raw.strip(), bare, len(text) - len(text.lstrip()), process, level)
