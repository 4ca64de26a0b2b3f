"""How many compilers at once."""

from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.machine import Machine
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.wishes import Wishes

GIB = 1 << 30


def choose_jobs(
    wishes: Wishes, machine: Machine, *, bytes_per_job: int, memory_cap: int | None
) -> Decision[int]:
    """As many as there are cores and as ordinary ones fit into memory, at least one.

    `bytes_per_job` is the peak of one ordinary compile of the target; `memory_cap` what --memory
    allows. Memory is the least of the cgroup's limit, what is available, and the cap. While they
    run, each starts when its own memory fits: small ones beside more others than this number.
    """
    if wishes.jobs is not None and wishes.jobs < 1:
        raise Problem(
            f"--jobs {wishes.jobs}: at least one compiler has to run", exit_code=ExitCode.USAGE
        )
    if machine.cpu.cores is None:
        return Refused("jobs", (Reason("the number of cores is unknown", "machine.cpu.cores"),))
    because = [Reason(f"{machine.cpu.cores} cores", "affinity and cgroup")]
    jobs = machine.cpu.cores
    room = [
        (size, source)
        for size, source in (
            (machine.memory.limit_bytes, "the cgroup's limit"),
            (machine.memory.available_bytes, "MemAvailable"),
            (memory_cap, "--memory"),
        )
        if size is not None
    ]
    if room:
        size, source = min(room)
        fitting = max(1, size // bytes_per_job)
        fact = (
            f"{size / GIB:.1f} GiB hold {fitting} ordinary compiles of "
            f"{bytes_per_job / GIB:.1f} GiB; each starts when its own memory fits"
        )
        because.append(Reason(fact, source))
        jobs = min(jobs, fitting)
        if size < bytes_per_job:
            return Refused(
                "jobs",
                tuple(because),
                (f"free memory or raise the limit to {bytes_per_job / GIB:.1f} GiB",),
            )
    if wishes.jobs is not None:
        because.append(Reason(f"--jobs {wishes.jobs}", "the command line"))
        jobs = min(jobs, wishes.jobs)
    return Chosen("jobs", jobs, tuple(because))
