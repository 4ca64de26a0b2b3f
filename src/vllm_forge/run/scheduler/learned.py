"""What compiles took here before: `compile-memory.json` in the home."""

import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vllm_forge.records.codec import parse_json, render_json
from vllm_forge.records.problem import Problem
from vllm_forge.records.schedule import Command, CompileRecord
from vllm_forge.run.files import write_atomically
from vllm_forge.run.lock import locked

MOST: Final = 5000
"""Entries kept; the ones compiled longest ago go first. vLLM has about 700 files."""

A_HIT: Final = 0.1
"""Behind a cache that does not say what it did, less than this part of the predicted CPU time is
taken for a hit, and a hit teaches nothing."""

KILLED: Final = -signal.SIGKILL
MORE: Final = 1.25
"""A killed compile would have gone on: how much more it is taken to need than it had."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What a file took, under the flags it was learned with."""

    cpu_seconds: float
    peak_bytes: int
    architectures: int = 1
    threads: int = 1
    after_peak_bytes: int | None = None


def key_of(command: Command) -> str:
    """What a cost is learned under: target, file, and the flags that change it.

    >>> key_of(Command("nvcc", "_C", "csrc/a.cu", None, "-O2 8.9"))
    '_C/csrc/a.cu|nvcc -O2 8.9'
    """
    return f"{command.name}|{command.kind} {command.flags}"


class Costs:
    """Learned costs by key, and by file where only the flags differ."""

    def __init__(self, learned: Mapping[str, Learned]) -> None:
        self._by_key = dict(learned)
        self._by_name = {key.partition("|")[0]: one for key, one in learned.items()}

    def of(self, command: Command) -> Learned | None:
        return self._by_key.get(key_of(command))

    def of_other_flags(self, command: Command) -> Learned | None:
        """The one learned last."""
        return self._by_name.get(command.name)


def read_learned(path: Path) -> dict[str, Learned]:
    """Empty where nothing was learned or the file is damaged."""
    try:
        return parse_json(path.read_bytes(), dict[str, Learned], origin=str(path))
    except (OSError, Problem):
        return {}


def keep_learned(path: Path, compiles: tuple[CompileRecord, ...]) -> None:
    """Remember what these took; two builds at once lose nothing of each other.

    Raises:
        OSError: where the home cannot be written.
    """
    taught = [one for one in compiles if teaches(one)]
    if not taught:
        return
    with locked(path.with_suffix(".lock"), on_wait=lambda _message: None, patience=5):
        known = read_learned(path)
        for one in taught:
            key = key_of(one.command)
            known[key] = merge(known.pop(key, None), one)  # to the end: the youngest
        write_atomically(path, render_json(dict(list(known.items())[-MOST:]), indent=0))


def teaches(one: CompileRecord) -> bool:
    """Whether a compile says what the next one of its file will take.

    sccache compiles in its server, where its memory is not ours to see. One that failed ended
    early; one that was killed says at least how far it got.
    """
    if one.command.kind == "other" or one.cached or one.command.cache == "sccache":
        return False
    if one.cached is None and one.command.cache is not None:
        return one.cpu_seconds >= A_HIT * one.predicted.seconds
    return one.code in {0, KILLED}


def merge(before: Learned | None, one: CompileRecord) -> Learned:
    """The higher peak of the two at once, a lower one only halfway: too little is what kills."""
    peak, cpu_seconds, after = one.peak_bytes, one.cpu_seconds, one.after_peak_bytes
    if one.code == KILLED:
        after = None
        peak = int(MORE * max(peak, one.predicted.peak_bytes))
        cpu_seconds = max(cpu_seconds, one.predicted.seconds)
    elif before is not None:
        peak = max(peak, (before.peak_bytes + peak) // 2)
        after = None if after is None else max(after, before.after_peak_bytes or 0)
    command = one.command
    return Learned(round(cpu_seconds, 2), peak, command.architectures, command.threads, after)
