"""Ways out of a refusal: each one resolved before it is offered."""

import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

from packaging.version import Version

from vllm_forge.records.decision import Refused
from vllm_forge.records.machine import Toolkit
from vllm_forge.records.problem import Problem
from vllm_forge.records.release import Release
from vllm_forge.records.resolution import Resolution
from vllm_forge.records.wishes import Device, Strategy
from vllm_forge.resolve.given import Given, wished_release, with_release
from vllm_forge.resolve.release import releases_loading
from vllm_forge.resolve.toolkit import matches
from vllm_forge.resolve.torch import exact_version

Resolve = Callable[[Given], Resolution]
MOST_FOUND = 2


def find_ways_out(refused: Refused, given: Given, resolve: Resolve) -> tuple[str, ...]:
    """Those of the rule, and those found by trying, that lead to a plan.

    A way out that is no option of ours (an installation) cannot be tried and is kept as it is.
    """
    offered = [way for way in refused.ways_out if _leads_on(way, given, resolve)]
    found = (way for way in _found(refused, given) if _leads_on(way, given, resolve))
    offered += islice(found, MOST_FOUND)
    return tuple(dict.fromkeys(_worded(way, given) for way in offered))


def _leads_on(way: str, given: Given, resolve: Resolve) -> bool:
    changed = apply(way, given)
    try:
        return changed is None or not resolve(changed).refused
    except Problem:  # another wish (a target's name, say) means nothing there
        return False


def apply(way: str, given: Given) -> Given | None:
    """What would be given if the user took it; None for what is no option."""
    words = shlex.split(way.split(" (", maxsplit=1)[0])
    if not words or not words[0].startswith("--"):
        return None
    changed = given
    for option, value in zip(words[::2], words[1::2], strict=False):
        after = _apply_one(option, value, changed)
        if after is None:
            return None
        changed = after
    return changed


def _apply_one(option: str, value: str, given: Given) -> Given | None:
    wishes = given.wishes
    match option:
        case "--torch":
            return replace(given, wishes=replace(wishes, torch=value))
        case "--python":
            return replace(given, wishes=replace(wishes, python=value))
        case "--gpu-arch":
            return replace(given, wishes=replace(wishes, gpu_arch=value))
        case "--device":
            return replace(given, wishes=replace(wishes, device=Device(value)))
        case "--cuda":
            return _with_toolkit(value, replace(given, wishes=replace(wishes, cuda=value)))
        case "--strategy":
            return replace(given, wishes=replace(wishes, strategy=Strategy(value)))
        case "--reuse":
            return replace(given, wishes=replace(wishes, reuse=(value,)))
        case "--vllm":
            return with_release(given, value, wished_release(value))
        case _:
            return None


def _with_toolkit(version: str, given: Given) -> Given:
    """As if that toolkit were installed: whether the rest would then do is the question."""
    toolkits = given.machine.toolkits or ()
    if any(matches(toolkit, version) for toolkit in toolkits):
        return given
    machine = replace(given.machine, toolkits=(*toolkits, Toolkit(version, f"cuda-{version}")))
    return replace(given, machine=machine)


def _worded(way: str, given: Given) -> str:
    """A toolkit that is not here has to be installed first; a release is told by what it pins."""
    words = way.split()
    if words[0] == "--cuda" and not any(
        matches(toolkit, words[1]) for toolkit in given.machine.toolkits or ()
    ):
        return f"{way} (after installing it: CUDA {words[1]} is not on this machine)"
    return way


def _found(refused: Refused, given: Given) -> Iterator[str]:
    """Options that a rule cannot know of, because they need other trees."""
    wishes = given.wishes
    if refused.subject == "quantization" and given.checkpoint is not None:
        yield from (f"--vllm {version}" for version in releases_loading(given.checkpoint, given))
    if refused.subject == "compiler":
        yield from _toolkits_taking_gcc(given)
        yield from _releases_taking_gcc(given)
    if refused.subject not in {"torch", "toolkit", "gpu_arch", "python", "strategy"}:
        return
    if wishes.torch is not None:
        for pin in given.facts.release.torch:
            version = exact_version(pin)
            if version and pin.role == "cuda" and version != wishes.torch:
                yield f"--torch {version}"
        if given.is_release or refused.subject != "strategy":
            yield from _releases_pinning(wishes.torch, given)


def _newest_gcc(given: Given) -> Version | None:
    gcc = [Version(each.version) for each in given.machine.compilers or () if "g++" in each.name]
    return max(gcc, default=None)


def _toolkits_taking_gcc(given: Given) -> Iterator[str]:
    """Newer ones: each takes newer host compilers than the one before."""
    here = _newest_gcc(given)
    if here is not None and given.wishes.device is not Device.CPU:
        for facts in reversed(given.cuda.toolkits):
            if facts.gcc >= here.major:
                yield f"--cuda {facts.version}"


def _releases_taking_gcc(given: Given) -> Iterator[str]:
    """The newest whose floor the compiler that is here reaches; older ones would be no better."""
    here = _newest_gcc(given)
    for version in reversed(given.known if here is not None else ()):
        facts = given.facts_of(version)
        if facts is None or here is None:
            continue
        floor = facts.release.gcc_floor.value
        if floor is None or here >= Version(floor):
            yield f"--vllm {version} (takes g++ {here})"
            return


def _releases_pinning(torch: str, given: Given) -> Iterator[str]:
    """The newest release whose CUDA requirements pin that torch."""
    for version in reversed(given.known):
        facts = given.facts_of(version)
        if facts is None:
            continue
        pins = {exact_version(pin) for pin in facts.release.torch if pin.role == "cuda"}
        if torch in pins:
            yield f"--vllm {version} ({_told(facts.release, torch)})"
            return


def _told(release: Release, torch: str) -> str:
    """`pins torch 2.6.0, names its FP4 method nvfp4`."""
    fp4 = [method.name for method in release.quantization if "fp4" in method.name]
    named = f", names its FP4 method {fp4[0]}" if fp4 else ""
    return f"pins torch {torch}{named}"
