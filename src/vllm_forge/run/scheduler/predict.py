"""What a compile will cost: learned here, else measured elsewhere, else guessed."""

from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Final

from vllm_forge.records.codec import parse_json
from vllm_forge.records.schedule import Command, Measured, Origin, Prediction
from vllm_forge.resolve.nvcc_threads import passes_in_turn
from vllm_forge.run.scheduler.learned import Costs, Learned

MARGIN: Final = 1.03
"""A learned peak was sampled: the true one lies a little above it."""

MARGIN_AFTER: Final = 1.1
"""The same for what was held after the peak, where another pass of nvcc has a smaller one."""

HEAVY: Final = ("cutlass", "scaled_mm", "flash", "gemm", "hopper")
"""Words in a CUDA file's path that go with many template instances."""


@cache
def read_table() -> tuple[Measured, ...]:
    """The shipped table; of two rows that fit, the first counts."""
    text = resources.files("vllm_forge.data").joinpath("compile_costs.json").read_bytes()
    return parse_json(text, tuple[Measured, ...], origin="compile_costs.json")


def predict(command: Command, costs: Costs, size: Callable[[str], int]) -> Prediction:
    """`size` gives a source's bytes, and 0 for one that is not there."""
    before, said = costs.of(command), "compiled here before"
    if before is None:
        before, said = costs.of_other_flags(command), "compiled here before, under other flags"
    if before is not None:
        beside = _side_by_side(before.threads, before.architectures)
        return _scaled(
            command,
            before.cpu_seconds / passes_in_turn(before.architectures, 1),
            int(before.peak_bytes * MARGIN / beside),
            ("learned", said),
            before.after_peak_bytes if _is_alike(before, command) else None,
        )
    for row in read_table():
        if _is_of(row, command):
            seconds = sum(row.cpu_seconds) / 2
            after = row.after_peak_bytes if command.architectures == 1 else None
            said_by: tuple[Origin, str] = ("measured", row.source)
            return _scaled(command, seconds, row.peak_bytes[1], said_by, after)
    return _guess(command, size)


def _is_of(row: Measured, command: Command) -> bool:
    return (
        row.kind == command.kind
        and fnmatchcase(command.target, row.target)
        and fnmatchcase(command.file, row.file)
        and fnmatchcase(command.flags, row.flags)
    )


def _is_alike(before: Learned, command: Command) -> bool:
    """Each pass of nvcc has its peak: how often it falls from one hangs on how they run."""
    return (before.architectures, before.threads) == (command.architectures, command.threads)


def _side_by_side(threads: int, architectures: int) -> int:
    """Passes that nvcc runs at the same time."""
    return max(1, min(threads, architectures))


def _scaled(
    command: Command,
    cpu_seconds: float,
    peak_bytes: int,
    source: tuple[Origin, str],
    after_peak_bytes: int | None = None,
) -> Prediction:
    """One architecture's cost, for as many as the command has and as nvcc runs side by side."""
    seconds = cpu_seconds * passes_in_turn(command.architectures, command.threads)
    beside = _side_by_side(command.threads, command.architectures)
    after = None if after_peak_bytes is None else int(after_peak_bytes * MARGIN_AFTER)
    return Prediction(seconds, peak_bytes * beside, *source, after)


def _guess(command: Command, size: Callable[[str], int]) -> Prediction:
    kibibytes = size(command.source) / 1024 if command.source else 0.0
    seconds, mebibytes = _floor_of(command, kibibytes)
    said = f"{command.kind}{' with torch' if command.torch else ''}, no figures for this file"
    return _scaled(command, seconds, mebibytes << 20, ("guessed", said))


def _floor_of(command: Command, kibibytes: float) -> tuple[float, int]:
    """(CPU seconds, MiB): torch's headers are the floor of what includes them.

    The floors are those of the shipped table's smallest files; `kibibytes` is the source's size.
    """
    match command.kind:
        case "nvcc":
            times = 2 if any(word in command.file.lower() for word in HEAVY) else 1
            floor, mebibytes = (70.0, 2700) if command.torch else (15.0, 1000)
            return times * (floor + kibibytes / 2), times * mebibytes
        case "c++":
            return (20.0 + kibibytes, 1600) if command.torch else (3.0, 500)
        case "c":
            return 1.0 + kibibytes / 20, 200
        case "link":
            return 2.0, 500
        case "other":
            return 1.0, 100
