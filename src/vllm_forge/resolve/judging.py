"""The questions to the release's wheel, from what is given."""

from collections.abc import Mapping, Sequence

from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.machine import Python
from vllm_forge.records.plan import PlannedTarget
from vllm_forge.records.release import Configured
from vllm_forge.records.reuse import WheelMember
from vllm_forge.records.sourced import Sourced
from vllm_forge.resolve.given import Given
from vllm_forge.resolve.origins import Judgement, Origins, Wished, choose_origins, parse_named
from vllm_forge.resolve.projects import cuda_projects, find_unobtainable, own_folder
from vllm_forge.resolve.reuse import Asked, Surroundings, find_members, judge_reuse
from vllm_forge.resolve.stubs import readers_of


def decide_origins(
    given: Given,
    configured: Configured,
    targets: Sequence[PlannedTarget],
    *,
    torch: str,
    torch_cuda: Sourced[str],
    python: Decision[Python],
) -> Origins:
    """Every target's origin; the index is asked only where one may be taken from it."""
    around = Surroundings(
        torch=torch,
        torch_cuda=torch_cuda,
        wheel_cuda=given.facts.release.main_cuda,
        python=python.value.version if isinstance(python, Chosen) else None,
        machine=given.machine,
        offline=given.wishes.offline,
    )

    def judge(names: Sequence[str]) -> Judgement:
        wheel = given.published(given.facts.release.version.value or "unknown")
        if wheel.value is None:
            none = Reason("there is no wheel to take it out of", wheel.source)
            return Judgement(wheel, {name: Refused(name, (none,)) for name in names})
        edits = given.edits(configured, wheel.value.version)
        decisions: Mapping[str, Decision[tuple[WheelMember, ...]]] = {
            name: judge_reuse(ask(name, given, configured), wheel.value, edits, around)
            for name in names
        }
        return Judgement(wheel, decisions)

    wishes = given.wishes
    named = parse_named(wishes.reuse, wishes.strategy, targets)
    unobtainable = find_unobtainable(given, configured, targets)
    return choose_origins(Wished(wishes.strategy, named), targets, unobtainable, judge)


def ask(name: str, given: Given, configured: Configured) -> Asked:
    """What a target is asked about with."""
    extensions = {target.name: target for target in given.facts.release.targets}
    reads = tuple(
        project for project in cuda_projects(given) if name in readers_of(project, configured)
    )
    own = tuple(project.name for project in reads if own_folder(project, given))
    return Asked(name, extensions.get(name), reads, own)


def find_filled(given: Given, configured: Configured) -> frozenset[str]:
    """Targets without an extension of their name whose files the wheel has."""
    wheel = given.published(given.facts.release.version.value or "unknown").value
    if wheel is None:
        return frozenset()
    return frozenset(
        target.name
        for target in configured.targets
        if (members := find_members(ask(target.name, given, configured), wheel))
        and not members[0].name.rpartition("/")[2].startswith(f"{target.name}.")
    )
