"""Which of the tree's targets this build makes, and why the others are left out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from vllm_forge.records.plan import PlannedTarget
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.release import Configured, ConfiguredTarget, RuntimeGate

FETCHED_FILES: Mapping[str, Mapping[str, int]] = {
    "57b4e68b9f9d94750b46de8f8dbd2bfcc86edd4f": {"_vllm_fa2_C": 63, "_vllm_fa3_C": 294},
}
"""Revision of a fetched project → how many files its targets compile: what a tree cannot say.
Counted in a real configure of vLLM 0.10.1 (docs/measurements.md)."""


def plan_targets(
    configured: Configured,
    gates: Sequence[RuntimeGate],
    capabilities: Sequence[str],
    revisions: Sequence[str] = (),
    wished: Sequence[str] = (),
    filled: Collection[str] = (),
) -> tuple[PlannedTarget, ...]:
    """Every target with the verdict and the line that decides.

    `capabilities` are those of the GPUs that will run it; `revisions` the pins of the tree's
    fetched projects; `wished` the only ones to build (() for all that make sense); `filled` those
    that are no more than files, and have them. A target whose
    run-time gate admits none of the GPUs is not built: Python would never call it. One that
    setup.py does not ask for is not built either.

    Raises:
        Problem: exit 2 where a wished one is none of the tree's.
    """
    wished = [name for word in wished for name in word.split(",") if name]
    unknown = [name for name in wished if name not in {one.name for one in configured.targets}]
    if unknown:
        raise Problem(
            f"--targets {','.join(unknown)}: this tree has no such target for this device",
            hints=(f"one of: {', '.join(target.name for target in configured.targets)}",),
            exit_code=ExitCode.USAGE,
        )
    by_subject = {gate.subject: gate for gate in gates}
    planned = (
        _plan_one(target, by_subject.get(target.name), capabilities, revisions, filled)
        for target in configured.targets
    )
    if not wished:
        return tuple(planned)
    said = f"--targets {','.join(wished)}"
    return tuple(
        replace(one, build=one.name in wished, because=said if one.build else one.because)
        if one.name in wished or one.build
        else one
        for one in planned
    )


def _plan_one(
    target: ConfiguredTarget,
    gate: RuntimeGate | None,
    capabilities: Sequence[str],
    revisions: Sequence[str],
    filled: Collection[str],
) -> PlannedTarget:
    files = _count_files(target, revisions)
    if target.asked is False:
        because = f"setup.py does not ask for it here ({target.source})"
        return PlannedTarget(target.name, build=False, because=because, files=files)
    if gate is not None and capabilities and gate.capabilities.value is not None:
        admitted = gate.capabilities.value
        if not any(admits(rule, each) for rule in admitted for each in capabilities):
            wanted, have = " or ".join(admitted), ", ".join(capabilities)
            because = (
                f"dispatched on compute capability {wanted} only, not on {have} "
                f"({gate.capabilities.source}: `{gate.said}`)"
            )
            return PlannedTarget(target.name, build=False, because=because, files=files)
    if files == 0 and target.name not in filled:
        because = f"nothing to compile for these GPUs ({target.source})"
        return PlannedTarget(target.name, build=False, because=because, files=0)
    because = f"setup.py asks for it ({target.source})"
    if target.incomplete and files is None:
        because += f"; {target.incomplete}"
    return PlannedTarget(target.name, build=True, because=because, files=files)


def _count_files(target: ConfiguredTarget, revisions: Sequence[str]) -> int | None:
    for revision in revisions:
        counted = FETCHED_FILES.get(revision, {}).get(target.name)
        if counted is not None:
            return counted
    return None if target.incomplete else len(target.sources)


def admits(rule: str, capability: str) -> bool:
    """Whether a gate's rule lets a GPU through.

    >>> admits("9.x", "9.0"), admits("9.0", "8.9"), admits(">=9.0", "10.0"), admits(">=9.0", "8.9")
    (True, False, True, False)
    """
    if rule.startswith(">="):
        return _number(capability) >= _number(rule.removeprefix(">="))
    if rule.endswith(".x"):
        return capability.split(".", maxsplit=1)[0] == rule.removesuffix(".x")
    return capability == rule


def _number(capability: str) -> tuple[int, ...]:
    return tuple(int(part) for part in capability.rstrip("af").split("."))
