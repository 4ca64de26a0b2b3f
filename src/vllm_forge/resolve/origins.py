"""Each target's origin: compiled, or taken out of the release's wheel."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.plan import PlannedTarget
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.release import FetchedProject
from vllm_forge.records.reuse import ReleaseWheel, Reused, WheelMember
from vllm_forge.records.sourced import Sourced
from vllm_forge.records.wishes import Strategy
from vllm_forge.resolve.reuse import name_all

SUBJECT: Final = "strategy"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The release's wheel, and for each target that was asked about whether it fits."""

    wheel: Sourced[ReleaseWheel]
    targets: Mapping[str, Decision[tuple[WheelMember, ...]]]


@dataclass(frozen=True, slots=True)
class Origins:
    """`targets` with their origins; `unfit` are the refusals of those that were asked about."""

    strategy: Decision[str]
    targets: tuple[PlannedTarget, ...]
    reused: Reused | None = None
    unfit: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class Wished:
    """`named` are the targets of --reuse, () where it was not given."""

    strategy: Strategy
    named: tuple[str, ...] = ()

    @property
    def because(self) -> Reason:
        said = f"--strategy {self.strategy}"
        if self.named:
            said = f"--reuse {','.join(self.named)}"
        return Reason(said, "the command line")


def choose_origins(
    wished: Wished,
    targets: Sequence[PlannedTarget],
    unobtainable: Mapping[str, FetchedProject],
    judge: Callable[[Sequence[str]], Judgement],
) -> Origins:
    """By what was wished, and by what cannot be had.

    `full` compiles everything, `precompiled` nothing. `hybrid` takes what fits; unwished, only
    targets with a project that cannot be had are taken (`unobtainable`), and with --reuse exactly
    those named. `judge` is asked once, for the targets that may be taken.
    """
    asked = _asked(wished, targets, unobtainable)
    judged = judge(asked) if asked else Judgement(Sourced(None, "not asked"), {})
    taken = {
        name: decision for name, decision in judged.targets.items() if isinstance(decision, Chosen)
    }
    unfit = tuple(one for one in judged.targets.values() if isinstance(one, Refused))
    origins = {
        target.name: _with_origin(target, wished, judged, unobtainable) for target in targets
    }
    strategy = _strategy(wished, taken, unfit, unobtainable)
    reused = None
    if taken and judged.wheel.value is not None:
        members = {name: decision.value for name, decision in taken.items()}
        reused = Reused(judged.wheel.value, members)
    return Origins(strategy, tuple(origins.values()), reused, unfit)


def parse_named(
    words: Sequence[str], strategy: Strategy, targets: Sequence[PlannedTarget]
) -> tuple[str, ...]:
    """The targets of --reuse.

    Raises:
        Problem: exit 2 for one that is not built here, or beside a strategy that says otherwise.
    """
    named = tuple(name for word in words for name in word.split(",") if name)
    if named and strategy in {Strategy.FULL, Strategy.PRECOMPILED}:
        raise Problem(
            f"--reuse {','.join(named)} and --strategy {strategy} contradict each other",
            hints=("leave one of them out",),
            exit_code=ExitCode.USAGE,
        )
    built = {target.name: target for target in targets if target.build}
    for name in named:
        if name not in built:
            left = next((target.because for target in targets if target.name == name), None)
            raise Problem(
                f"--reuse {name}: {'it is not built here' if left else 'no such target here'}",
                causes=(left,) if left else (),
                hints=(f"one of: {', '.join(built)}",),
                exit_code=ExitCode.USAGE,
            )
    return named


def _asked(
    wished: Wished, targets: Sequence[PlannedTarget], unobtainable: Mapping[str, FetchedProject]
) -> Sequence[str]:
    built = [target.name for target in targets if target.build]
    if wished.named:
        return wished.named
    match wished.strategy:
        case Strategy.FULL:
            return ()
        case Strategy.PRECOMPILED | Strategy.HYBRID:
            return built
        case Strategy.AUTO:
            return [name for name in built if name in unobtainable]


def _with_origin(
    target: PlannedTarget,
    wished: Wished,
    judged: Judgement,
    unobtainable: Mapping[str, FetchedProject],
) -> PlannedTarget:
    """The target with its origin, and every reason for it."""
    if not target.build:
        return target
    decision = judged.targets.get(target.name)
    wheel = judged.wheel.value
    if isinstance(decision, Chosen) and wheel is not None:
        project = unobtainable.get(target.name)
        why = (
            [_cannot_be_had(project)]
            if project is not None and wished.strategy is Strategy.AUTO and not wished.named
            else [wished.because]
        )
        why.append(Reason(f"it is in {wheel.filename}", "the package index"))
        return replace(target, origin="reuse", why_origin=(*why, *decision.because))
    if isinstance(decision, Refused):
        return replace(target, origin="compile", why_origin=decision.because)
    if wished.named or wished.strategy is not Strategy.AUTO:
        return replace(target, origin="compile", why_origin=(wished.because,))
    had = Reason("all that it is made from can be had", "CMakeLists.txt")
    return replace(target, origin="compile", why_origin=(had,))


def _strategy(
    wished: Wished,
    taken: Mapping[str, Chosen[tuple[WheelMember, ...]]],
    unfit: tuple[Refused, ...],
    unobtainable: Mapping[str, FetchedProject],
) -> Decision[str]:
    """The strategy's name; refused where what was wished for does not fit."""
    if unfit and (wished.named or wished.strategy is Strategy.PRECOMPILED):
        ways = ("--strategy hybrid", "--strategy full", "--strategy auto")
        return Refused(SUBJECT, (wished.because, *name_all(unfit)), ways)
    if wished.named:
        return Chosen(SUBJECT, Strategy.HYBRID.value, (wished.because,))
    if wished.strategy is not Strategy.AUTO:
        facts = name_all(unfit)
        return Chosen(SUBJECT, wished.strategy.value, (wished.because, *facts))
    if not taken:
        because = name_all(unfit) or (
            Reason("everything that is built can be compiled here", "CMakeLists.txt"),
        )
        return Chosen(SUBJECT, Strategy.FULL.value, because)
    projects = {unobtainable[name].name: unobtainable[name] for name in taken}
    return Chosen(SUBJECT, Strategy.HYBRID.value, tuple(map(_cannot_be_had, projects.values())))


def _cannot_be_had(project: FetchedProject) -> Reason:
    return Reason(f"{project.name} cannot be had here", project.source)
