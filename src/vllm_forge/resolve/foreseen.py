"""The compiles a CUDA build will have, as far as they are known before CMake has spoken."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Final

from vllm_forge.records.plan import PlannedTarget
from vllm_forge.records.schedule import Measured
from vllm_forge.resolve.makespan import Job
from vllm_forge.resolve.nvcc_threads import passes_in_turn

ORDINARY: Final = (105.0, 2_800_000_000)
"""CPU seconds and peak bytes of most files of `_C`, one architecture (docs/measurements.md)."""


def foresee_files(
    targets: Sequence[PlannedTarget], costs: Sequence[Measured], architectures: Sequence[str]
) -> tuple[Job, ...]:
    """A job for each file of each target that is built, its architectures one after another.

    A target's files are taken to cost what measured ones of its name did; where there are more of
    them, as its most general row says.
    """
    flags = ",".join(sorted(one.replace(".", "") for one in architectures))
    passes = passes_in_turn(len(architectures), 1)
    return tuple(
        Job(seconds * passes, peak, seconds * passes, peak)
        for target in targets
        if target.build
        for seconds, peak in _costs_of(target, costs, flags)
    )


def _costs_of(
    target: PlannedTarget, costs: Sequence[Measured], flags: str
) -> Iterator[tuple[float, int]]:
    left = target.files or 0
    general = ORDINARY
    for row in costs:
        if row.kind != "nvcc" or not fnmatchcase(target.name, row.target):
            continue
        if not fnmatchcase(flags, row.flags):
            continue
        least, most = row.cpu_seconds
        count = min(left, row.files)
        left -= count
        general = ((least + most) / 2, row.peak_bytes[1])
        for place in range(count):
            yield least + (most - least) * (place + 0.5) / count, row.peak_bytes[1]
    yield from (general for _ in range(left))
