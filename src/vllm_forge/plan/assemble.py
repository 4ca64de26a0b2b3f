"""A resolution becomes a plan: names, places, steps."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vllm_forge.plan.fingerprint import fingerprint
from vllm_forge.plan.requirements import find_unmatched
from vllm_forge.plan.steps import Frame, Places, steps_for
from vllm_forge.records.home import Home
from vllm_forge.records.plan import Choice, Estimate, Plan, Source
from vllm_forge.records.release import Release
from vllm_forge.records.resolution import (
    Build,
    CpuPart,
    CudaPart,
    PlannedProjects,
    PrecompiledPart,
    Resolution,
)
from vllm_forge.records.specialization import MadeFor, Specialization
from vllm_forge.resolve.room import NEEDED_BYTES, PRECOMPILED_BYTES
from vllm_forge.resolve.torch import Target


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the tree comes from; `path` only for a tree of the user's own."""

    kind: Literal["sdist", "tree", "git"]
    path: Path | None = None
    url: str | None = None
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a plan is made for: the home, an environment folder of the user's, the machine's arch.

    `locked` is a lock's requirements file; without one the requirements are resolved when built.
    `without` names requirements of the tree that the user leaves out.
    """

    home: Home
    environment: Path | None
    arch: str
    locked: str | None = None
    without: tuple[str, ...] = ()


def assemble(resolution: Resolution, release: Release, origin: Origin, setting: Setting) -> Plan:
    """The plan document, with steps when nothing was refused."""
    choices = {
        chosen.subject: Choice(_shown(chosen.value), chosen.because) for chosen in resolution.chosen
    }
    warnings = tuple(warning for chosen in resolution.chosen for warning in chosen.warnings)
    if resolution.build is None:
        return Plan(
            status="refused",
            key="",
            choices=choices,
            refusals=resolution.refused,
            warnings=warnings,
            notes=resolution.notes,
            targets=resolution.targets,
        )
    build = resolution.build
    home = setting.home
    key = key_of(build, release, origin, setting.environment)
    source = Source(
        origin=origin.kind,
        path=str(origin.path or home.source(key)),
        version=release.version.value if origin.kind == "sdist" else None,
        url=origin.url,
        ref=origin.ref,
    )
    environment = setting.environment or home.environment(key)
    places = Places(environment, home.build(key), home.cmake(key), home.launcher)
    target = Target(setting.arch, build.python.value.version)
    frame = Frame(places, target, setting.locked, setting.without)
    for_device = release.requirements.get(build.device.value, ())
    unmatched = find_unmatched(setting.without, (*for_device, *release.build_requirements))
    named = f"no requirement of vLLM {release.version.value} for {build.device.value} has that name"
    return Plan(
        status="ok",
        key=key,
        choices=choices,
        warnings=(*warnings, *(f"--without {name}: {named}" for name in unmatched)),
        notes=resolution.notes,
        targets=resolution.targets,
        steps=steps_for(build, release, source, frame, resolution.targets),
        estimate=Estimate(
            disk_bytes=PRECOMPILED_BYTES
            if isinstance(build.part, PrecompiledPart)
            else NEEDED_BYTES[build.device]
        ),
    )


def key_of(build: Build, release: Release, origin: Origin, environment: Path | None) -> str:
    """A readable name for one environment: equal wishes on one machine make the same one.

    A tree of the user's, a git revision, a folder named for the environment, or an interpreter that
    lends its torch adds eight digits of a hash, so that two of them never share a build folder.
    """
    python = ".".join(build.python.value.version.split(".")[:2])
    if isinstance(build.part, CpuPart):
        kind = f"cpu-{build.part.isa.value}"
    else:
        by = (
            f"cu{build.part.toolkit.value.version}"
            if isinstance(build.part, CudaPart)
            else "precompiled"
        )
        kind = f"{by}-sm{'_'.join(build.part.gpu_arch.value)}"
    name = f"vllm-{release.version.value}-{kind}-torch{build.torch.value}-py{python}"
    if build.specialization is not None:
        name += f"-for{digest_of(build.specialization.value.made_for)}"
    lender = None if build.lent is None else build.lent.python
    own = [str(part) for part in (origin.path, origin.url, origin.ref, environment, lender) if part]
    if own:
        name += f"-{hashlib.sha256(chr(0).join(own).encode()).hexdigest()[:8]}"
    return name


def digest_of(made_for: MadeFor) -> str:
    """Eight digits of a hash over everything a specialized build is made for."""
    return fingerprint(made_for)[:8]


def _shown(value: object) -> object:
    """Interpreters and compilers are shown by version; their paths stand in the reasons."""
    if isinstance(value, Specialization):
        return str(value.made_for)
    if isinstance(value, PlannedProjects):
        return {one.project.name: one.origin for one in value.planned}
    version = getattr(value, "version", None)
    packages = getattr(value, "packages", None)
    return version or packages or value
