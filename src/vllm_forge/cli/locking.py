"""Make a lock of a plan, and hold a plan to one."""

from pathlib import Path

from vllm_forge import __version__
from vllm_forge.cli.planning import Planned, make_plan
from vllm_forge.plan.lock import find_drift, make_lock, wishes_of
from vllm_forge.records.codec import parse_json
from vllm_forge.records.lock import Lock
from vllm_forge.records.plan import Source
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.wishes import Wishes
from vllm_forge.run.doors import Doors
from vllm_forge.run.locking import read_lock_text, read_source_digest, resolve_packages


def lock_of(planned: Planned, doors: Doors, *, packages: str | None = None) -> Lock:
    """Everything pinned; `packages` is taken as it is where a lock already resolved them."""
    source = next(step.action for step in planned.plan.steps if isinstance(step.action, Source))
    return make_lock(
        planned.plan,
        planned.release,
        sha256=read_source_digest(source, doors),
        packages=resolve_packages(planned.plan, doors) if packages is None else packages,
        forge=__version__,
    )


def plan_locked(path: Path, wishes: Wishes, doors: Doors, *, install_system: bool) -> Planned:
    """The plan that a lock stands for, on this machine.

    Raises:
        Problem: exit 5 for a file that is no lock of this schema; exit 3 naming every difference.
    """
    lock = parse_json(read_lock_text(path), Lock, origin=str(path))
    planned = make_plan(
        wishes_of(lock, wishes), doors, install_system=install_system, locked=lock.packages
    )
    if planned.plan.status == "refused":
        return planned
    drift = find_drift(lock, lock_of(planned, doors, packages=lock.packages))
    if drift:
        raise Problem(
            f"{path}: this build would not be the locked one",
            causes=drift,
            hints=hints_for(lock, wishes),
            exit_code=ExitCode.REFUSED,
        )
    return planned


def hints_for(lock: Lock, wishes: Wishes) -> tuple[str, ...]:
    """What to do about a difference; a build for one checkpoint needs that checkpoint again."""
    anew = "make it as it was, or lock anew: vllm-forge plan --lock FILE"
    if lock.left_out and wishes.specialize is None:
        return ("--specialize with the checkpoint that the lock was made for", anew)
    return (anew,)
