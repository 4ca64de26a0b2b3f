"""How many of a file's architectures nvcc compiles at the same time (--threads)."""

from collections.abc import Sequence

from vllm_forge.records.decision import Chosen, Reason
from vllm_forge.resolve.makespan import Job, place

WORTH = 0.95
"""A schedule must be shorter by a twentieth: threads cost memory, and predictions are rough."""


def choose_nvcc_threads(
    files: Sequence[Job], *, architectures: int, cores: int, memory_bytes: int | None
) -> Chosen[int]:
    """The number whose simulated build is clearly the shortest; 1 where files keep cores busy.

    `files` are compiles for all the architectures, one after another. With threads a file takes
    that many cores and times its memory, and only its GPU passes get shorter.
    """
    if architectures <= 1:
        return Chosen(
            "nvcc_threads", 1, (Reason("one architecture: nothing to share out", "plan"),)
        )
    spans = {
        threads: _span(
            [_threaded(job, threads, architectures) for job in files], cores, memory_bytes
        )
        for threads in range(1, min(architectures, cores) + 1)
    }
    best = min(spans, key=lambda threads: (spans[threads], threads))
    chosen = best if spans[best] < WORTH * spans[1] else 1
    said = ", ".join(f"{threads}: {seconds:.0f} s" for threads, seconds in spans.items())
    return Chosen(
        "nvcc_threads", chosen, (Reason(f"foretold build by threads: {said}", "makespan"),)
    )


def passes_in_turn(architectures: int, threads: int) -> float:
    """A file's time in units of one architecture's: the host's pass counts half of that.

    >>> passes_in_turn(1, 1), passes_in_turn(4, 1), passes_in_turn(4, 2), passes_in_turn(4, 8)
    (1.0, 2.5, 1.5, 1.0)
    """
    return (1 + -(-architectures // max(1, threads))) / 2


def _threaded(job: Job, threads: int, architectures: int) -> Job:
    shorter = passes_in_turn(architectures, threads) / passes_in_turn(architectures, 1)
    seconds, held = job.predicted_seconds * shorter, job.predicted_bytes * threads
    return Job(seconds, held, seconds, held, cores=threads)


def _span(jobs: Sequence[Job], cores: int, memory_bytes: int | None) -> float:
    placed = place(jobs, cores=cores, memory_bytes=memory_bytes)
    return max((one.end for one in placed), default=0.0)
