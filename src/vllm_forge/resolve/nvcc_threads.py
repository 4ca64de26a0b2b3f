"""How many of a file's architectures nvcc compiles at the same time (--threads)."""

from collections.abc import Sequence

from vllm_forge.records.decision import Chosen, Reason
from vllm_forge.resolve.makespan import Job, bound_of_jobs

WORTH = 0.9
"""A build must get shorter by a tenth: threads cost memory, and predictions are rough."""


def choose_nvcc_threads(
    files: Sequence[Job],
    *,
    architectures: int,
    cores: int,
    memory_bytes: int | None,
    jobs: int | None = None,
) -> Chosen[int]:
    """The number with clearly the lowest bound of the build; 1 where files keep the cores busy.

    `files` are compiles for all the architectures, one after another. With threads a file takes
    that many cores and times its memory, and only its GPU passes get shorter. The number stands in
    every command line, and another one compiles everything again: so it hangs on the machine, and
    on `jobs` (--jobs) only where that is less.
    """
    if architectures <= 1:
        return Chosen(
            "nvcc_threads", 1, (Reason("one architecture: nothing to share out", "plan"),)
        )
    spans = {
        threads: bound_of_jobs(
            [_threaded(job, threads, architectures) for job in files],
            cores=cores,
            memory_bytes=memory_bytes,
        ).seconds
        for threads in range(1, min(architectures, cores) + 1)
    }
    best = min(spans, key=lambda threads: (spans[threads], threads))
    chosen = best if spans[best] < WORTH * spans[1] else 1
    said = ", ".join(f"{threads}: {seconds:.0f} s" for threads, seconds in spans.items())
    because = [
        Reason(f"{architectures} architectures on {cores} cores", "gpu_arch, machine.cpu.cores"),
        Reason(f"a build takes at least, by threads: {said}", "bound of the schedule"),
    ]
    if jobs is not None and jobs < chosen:
        because.append(Reason(f"--jobs {jobs}", "the command line"))
    return Chosen("nvcc_threads", min(chosen, jobs or chosen), tuple(because))


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
