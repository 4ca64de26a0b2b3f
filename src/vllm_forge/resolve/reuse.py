"""Whether a target can be taken out of the release's wheel instead of compiled, and why (not).

A wheel's extension does what a compile would do when it was made from the same sources and runs
beside the same torch, CUDA run time, C library and Python. What only its bytes can tell (symbols,
GPU code) is proven when they have been fetched, before anything is installed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from packaging.requirements import Requirement
from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.machine import Machine
from vllm_forge.records.release import ExtensionTarget, FetchedProject
from vllm_forge.records.reuse import ReleaseWheel, WheelMember
from vllm_forge.records.sourced import Sourced
from vllm_forge.resolve.cuda_facts import parts_of

PACKAGE: Final = "vllm"
THIRD_PARTY: Final = f"{PACKAGE}/third_party"
"""Where a project's Python files go whose extension lies beside vLLM's own (flashmla.cmake, 0.20
and later)."""
LEGACY_FLOORS: Final = {"manylinux1": "2.5", "manylinux2010": "2.12", "manylinux2014": "2.17"}
"""PEP 600, "Legacy manylinux tags"."""
MOST_SHOWN: Final = 4


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the wheel's extension would run beside. `wheel_cuda` is the toolkit it was made with."""

    torch: str
    torch_cuda: Sourced[str]
    wheel_cuda: Sourced[str]
    python: str | None
    machine: Machine
    offline: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """One target; `own` are the projects it reads that the user put a folder of theirs in place of.

    `reads` are all projects it reads.
    """

    name: str
    extension: ExtensionTarget | None
    reads: tuple[FetchedProject, ...] = ()
    own: tuple[str, ...] = ()


def judge_reuse(
    asked: Asked,
    wheel: ReleaseWheel,
    edits: Sourced[Mapping[str, tuple[str, ...]]],
    around: Surroundings,
) -> Decision[tuple[WheelMember, ...]]:
    """The members that stand for it, its extension first, or every fact that speaks against."""
    members = find_members(asked, wheel)
    against = [
        *_against_sources(asked, wheel, edits),
        *_against_surroundings(wheel, around),
    ]
    if not members:
        where = f"{wheel.filename} has no {_expected(asked)}"
        against.insert(0, Reason(where, "its directory"))
    missing = [member for member in members if member.name not in wheel.kept]
    if around.offline and missing:
        fact = f"{missing[0].name} was not fetched before, and --offline was given"
        against.append(Reason(fact, "the command line"))
    if against:
        return Refused(asked.name, tuple(against))
    return Chosen(asked.name, members, tuple(_reasons(asked, wheel, around)))


def find_members(asked: Asked, wheel: ReleaseWheel) -> tuple[WheelMember, ...]:
    """Its extension, and the files that come with it; () where the wheel has nothing of it.

    With an extension in a package of its own (`vllm/vllm_flash_attn/`) come that package's files,
    with one beside vLLM's own those of the project it is made from. A target without an extension
    of its name is such files alone (triton_kernels, _deep_gemm_C).
    """
    found = [
        member
        for member in wheel.members
        if is_extension(member) and PurePosixPath(member.name).name.startswith(f"{asked.name}.")
    ]
    folder = _folder(asked)
    found.sort(key=lambda member: str(PurePosixPath(member.name).parent) != folder)
    if found:
        folder = str(PurePosixPath(found[0].name).parent)
    if found and folder != PACKAGE:
        beside = [one for one in wheel.members if one.name.startswith(f"{folder}/")]
        return (found[0], *(one for one in beside if not is_extension(one)))
    names = {bare(name) for name in (asked.name, *(project.name for project in asked.reads))}
    filled = [one for one in wheel.members if bare(third_party(one)) in names]
    filled.sort(key=lambda one: not is_extension(one))
    return (*found[:1], *filled)


def is_extension(member: WheelMember) -> bool:
    return ".so" in PurePosixPath(member.name).suffixes


def third_party(member: WheelMember) -> str:
    """The folder below vllm/third_party that it lies in, "" elsewhere."""
    inside = member.name.removeprefix(f"{THIRD_PARTY}/")
    return inside.partition("/")[0] if inside != member.name and "/" in inside else ""


def bare(name: str) -> str:
    """What targets, projects and folders of one thing share.

    >>> [bare(name) for name in ("_deep_gemm_C", "deepgemm", "deep_gemm")]
    ['deepgemm', 'deepgemm', 'deepgemm']
    """
    return re.sub(r"^_|_C$|[-_]", "", name).lower()


def _folder(asked: Asked) -> str:
    """Where setup.py says the extension lies: `vllm.vllm_flash_attn._vllm_fa2_C`."""
    module = asked.extension.module if asked.extension else f"{PACKAGE}.{asked.name}"
    return module.rpartition(".")[0].replace(".", "/")


def _expected(asked: Asked) -> str:
    return f"{_folder(asked)}/{asked.name}.*.so"


def _against_sources(
    asked: Asked, wheel: ReleaseWheel, edits: Sourced[Mapping[str, tuple[str, ...]]]
) -> Iterator[Reason]:
    if edits.value is None:
        fact = f"whether its sources are those of vLLM {wheel.version} is not known"
        yield Reason(fact, edits.source)
    elif edits.value.get(asked.name):
        files = edits.value[asked.name]
        more = f" and {len(files) - MOST_SHOWN} more" if len(files) > MOST_SHOWN else ""
        verb = "differ" if len(files) > 1 else "differs"
        fact = f"{', '.join(files[:MOST_SHOWN])}{more} {verb} from vLLM {wheel.version}"
        yield Reason(fact, edits.source)
    for name in asked.own:
        yield Reason(f"{name} is a folder of yours: what is in it is compiled", "--project")


def _against_surroundings(wheel: ReleaseWheel, around: Surroundings) -> Iterator[Reason]:
    wanted = wheel.requires_torch
    if wanted is None:
        yield Reason(f"{wheel.filename} names no torch that it fits", "its METADATA")
    elif not Requirement(wanted).specifier.contains(around.torch, prereleases=True):
        fact = f"the wheel is built against {wanted}, not {around.torch}"
        yield Reason(fact, f"METADATA of {wheel.filename}")
    theirs, ours = around.wheel_cuda.value, around.torch_cuda.value
    if theirs and ours and parts_of(theirs)[0] != parts_of(ours)[0]:
        fact = f"the wheel is made with CUDA {theirs}, torch carries {ours}: another run time"
        yield Reason(fact, around.wheel_cuda.source)
    tags = parse_wheel_filename(wheel.filename)[3]
    machine = around.machine
    if not any(fits_machine(tag, machine.cpu.arch, machine.glibc) for tag in tags):
        have = f"glibc {machine.glibc or 'unknown'} on {machine.cpu.arch or 'unknown'}"
        yield Reason(f"this machine has {have}", wheel.filename)
    if around.python and not any(fits_python(tag, around.python) for tag in tags):
        yield Reason(f"it is not for Python {around.python}", wheel.filename)


def _reasons(asked: Asked, wheel: ReleaseWheel, around: Surroundings) -> Iterator[Reason]:
    yield Reason(
        f"its sources are those of vLLM {wheel.version}, by content", "the release's sdist"
    )
    for project in asked.reads:
        yield Reason(f"{project.name} is pinned alike in both", project.source)
    yield Reason(
        f"the wheel is built against {wheel.requires_torch} too", f"METADATA of {wheel.filename}"
    )
    if around.wheel_cuda.value and around.torch_cuda.value:
        fact = (
            f"the wheel is made with CUDA {around.wheel_cuda.value}, torch carries "
            f"{around.torch_cuda.value}: the same major version"
        )
        yield Reason(fact, around.wheel_cuda.source)


def fits_machine(tag: Tag, arch: str | None, glibc: str | None) -> bool:
    """Whether a platform tag admits this processor and C library; what is unknown is admitted.

    >>> tag = Tag("cp38", "abi3", "manylinux_2_31_x86_64")
    >>> fits_machine(tag, "x86_64", "2.36"), fits_machine(tag, "x86_64", "2.28")
    (True, False)
    """
    match = re.fullmatch(r"(manylinux\d*|linux)(?:_(\d+)_(\d+))?_(.+)", tag.platform)
    if match is None:
        return tag.platform == "any"
    family, major, minor, machine = match.groups()
    if arch is not None and machine != arch:
        return False
    floor = f"{major}.{minor}" if major else LEGACY_FLOORS.get(family)
    return floor is None or glibc is None or parts_of(glibc) >= parts_of(floor)


def fits_python(tag: Tag, python: str) -> bool:
    """Whether a CPython may load it: its own version's, or the stable ABI of an older one.

    >>> [fits_python(Tag("cp38", abi, "any"), "3.12.1") for abi in ("abi3", "cp38", "none")]
    [True, False, False]
    """
    match = re.fullmatch(r"(cp|py)3(\d*)", tag.interpreter)
    if match is None:
        return False
    kind, minor = match[1], int(match[2] or 0)
    ours = parts_of(python)[1]
    if tag.abi == "abi3" or kind == "py":
        return ours >= minor
    return ours == minor


def name_all(refusals: Sequence[Refused]) -> tuple[Reason, ...]:
    """Each fact once, with the targets that it speaks against: `_C, _moe_C: the wheel is …`."""
    speaks: dict[Reason, list[str]] = {}
    for one in refusals:
        for reason in one.because:
            speaks.setdefault(reason, []).append(one.subject)
    return tuple(
        Reason(f"{', '.join(names)}: {reason.fact}", reason.source)
        for reason, names in speaks.items()
    )
