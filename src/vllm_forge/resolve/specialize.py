"""Which kernels one checkpoint on these GPUs does without, and who may run such a build."""

from dataclasses import replace
from typing import Final

from vllm_forge.records.checkpoint import Checkpoint, Shape
from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.plan import PlannedTarget
from vllm_forge.records.release import Release
from vllm_forge.records.specialization import MadeFor, Specialization
from vllm_forge.records.wishes import Device
from vllm_forge.resolve.given import Given
from vllm_forge.resolve.gpu_arch import plain
from vllm_forge.resolve.match_algorithms import algorithms_of, canonical, registry_entry

SUBJECT: Final = "specialize"
WITHOUT: Final = ("leave --specialize out",)


def choose_specialization(
    given: Given,
    nvcc: str,
    architectures: tuple[str, ...],
    targets: tuple[PlannedTarget, ...],
) -> Decision[Specialization] | None:
    """None where nobody asked. `targets` are those planned: what is not built needs no cutting."""
    if given.wishes.specialize is None or given.checkpoint is None:
        return None
    if given.facts.reach is None:
        reason = Reason("the tree's own files were not read", "the shipped table")
        return Refused(SUBJECT, (reason,), WITHOUT)
    made_for = made_for_checkpoint(
        given.checkpoint, given.facts.release, tuple(plain(one) for one in architectures)
    )
    if not made_for.architectures:
        reason = Reason("the checkpoint names no architecture", "config.json")
        return Refused(SUBJECT, (reason,), WITHOUT)
    reach = given.facts.reach(
        Device.CUDA.value, nvcc=nvcc, architectures=architectures, made_for=made_for
    )
    if reach.unknown is not None:
        fact = f"what the checkpoint reaches cannot be told: {reach.unknown}"
        return Refused(SUBJECT, (Reason(fact, reach.source),), WITHOUT)
    built = {target.name for target in targets if target.build}
    left_out = tuple(one for one in reach.left_out if one.target in built)
    operators = tuple(one for one in reach.operators if one.target in built)
    because = [Reason(f"for {made_for} alone", str(given.wishes.specialize))]
    because += [
        Reason(f"{one.target}: {len(one.files)} left out: {one.because}", one.source)
        for one in left_out
    ]
    return Chosen(SUBJECT, Specialization(made_for, left_out, operators), tuple(because))


def refuse_specialization_on_cpu(given: Given) -> Refused | None:
    """The CPU target has a handful of files."""
    if given.wishes.specialize is None:
        return None
    reason = Reason("only CUDA builds are specialized, and this one is for the CPU", "--specialize")
    return Refused(SUBJECT, (reason,), WITHOUT)


def made_for_checkpoint(
    checkpoint: Checkpoint, release: Release, capabilities: tuple[str, ...]
) -> MadeFor:
    """What of a checkpoint decides which kernels this release comes to."""
    return MadeFor(
        architectures=checkpoint.model.architectures,
        method=method_of(checkpoint, release),
        algorithms=algorithms_of(checkpoint),
        capabilities=capabilities,
    )


def method_of(checkpoint: Checkpoint, release: Release) -> str | None:
    """The name under which the release reads it; ModelOpt's own where its metadata is repaired."""
    document = checkpoint.document
    if document is None:
        return None
    if checkpoint.shape is not Shape.NOT_MODELOPT and document.algorithm is not None:
        entry = registry_entry(release, canonical(document.algorithm))
        if entry is not None and (document.method or "modelopt").startswith("modelopt"):
            return entry.name
    return document.method


def specialize_targets(
    targets: tuple[PlannedTarget, ...], specialization: Specialization
) -> tuple[PlannedTarget, ...]:
    """The same targets with fewer files."""

    def smaller(target: PlannedTarget) -> PlannedTarget:
        left_out = tuple(one for one in specialization.left_out if one.target == target.name)
        count = sum(len(one.files) for one in left_out)
        if not count:
            return target
        return replace(
            target,
            files=None if target.files is None else target.files - count,
            because=f"{target.because}; {count} files left out by --specialize",
            left_out=left_out,
        )

    return tuple(smaller(target) for target in targets)


def refuse_other_checkpoint(
    made_for: MadeFor | None,
    checkpoint: Checkpoint,
    release: Release,
    capabilities: tuple[str, ...],
) -> Refused | None:
    """A specialized build lacks kernels that another kind of checkpoint calls.

    `capabilities` are those of the GPUs it would run on; () where they are not known.
    """
    if made_for is None:
        return None
    asked = made_for_checkpoint(checkpoint, release, capabilities or made_for.capabilities)
    because = [
        Reason(f"it was built for {name} {_words(ours)}, this is {_words(theirs)}", "forge.json")
        for name, ours, theirs in (
            ("the architecture", made_for.architectures, asked.architectures),
            ("the quantization method", (made_for.method,), (asked.method,)),
            ("the format", made_for.algorithms, asked.algorithms),
        )
        if ours != theirs
    ]
    other = [one for one in asked.capabilities if one not in made_for.capabilities]
    if other:
        fact = f"it was built for compute capability {_words(made_for.capabilities)}"
        because.append(Reason(f"{fact}, this GPU is {_words(tuple(other))}", "forge.json"))
    if not because:
        return None
    reason = Reason(f"this build was specialized for {made_for}", "forge.json")
    return Refused(
        "path",
        (reason, *because),
        (
            "vllm-forge build without --specialize, with the same other options",
            f"vllm-forge build --specialize {checkpoint.path}",
        ),
    )


def _words(values: tuple[str | None, ...]) -> str:
    return ", ".join(value or "none" for value in values) or "plain weights"
