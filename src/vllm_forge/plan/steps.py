"""Decisions in, steps out: the order of the work and what each step stands on."""

from dataclasses import dataclass
from pathlib import PurePath

from vllm_forge.plan.fingerprint import fingerprint
from vllm_forge.plan.requirements import select_requirements
from vllm_forge.records.plan import (
    Action,
    Compile,
    Configure,
    Environment,
    Register,
    Requirements,
    Source,
    Step,
)
from vllm_forge.records.release import Release
from vllm_forge.records.resolution import CpuBuild
from vllm_forge.records.wishes import Isa
from vllm_forge.resolve.isa import SWITCH
from vllm_forge.resolve.torch import Target, exact_version


@dataclass(frozen=True, slots=True)
class Places:
    """Where this plan's things lie, all below the forge's home but for a tree or env of the user's.

    `cmake` is where the Torch package of our own is written.
    """

    environment: PurePath
    build: PurePath
    cmake: PurePath


def steps_for_cpu(
    build: CpuBuild, release: Release, source: Source, places: Places, target: Target
) -> tuple[Step, ...]:
    """System packages where needed, then the tree, the environment, CMake, ninja, registration."""
    steps: list[Step] = []

    def add(name: str, title: str, action: Action, *after: str) -> None:
        marks = [step.fingerprint for step in steps if step.name in after]
        steps.append(Step(name, title, action, after, fingerprint(action, marks)))

    packages = build.system_packages.value
    system: tuple[str, ...] = ()
    if packages is not None:
        verb = "install" if packages.install else "unpack"
        add("system-packages", f"{verb} {', '.join(packages.packages)}", packages)
        system = ("system-packages",)
    add("source", _source_title(source), source)
    torch = build.torch.value
    python = build.python.value
    add(
        "environment",
        f"Python {python.version} with torch {torch}",
        Environment(str(places.environment), python.path, torch, None),
    )
    add(
        "requirements",
        "vLLM's requirements, torch protected",
        _requirements(build, release, places, target),
        "environment",
    )
    add(
        "configure",
        "configure with CMake",
        _configure(build, source, places),
        *("source", "environment", *system),
    )
    names = tuple(extension.name for extension in build.extensions)
    add(
        "compile",
        f"compile {', '.join(names)}",
        Compile(
            source.path,
            str(places.build),
            names,
            tuple(extension.module for extension in build.extensions),
            build.jobs.value,
        ),
        *("source", "configure"),
    )
    version = release.version.value or "0"
    add(
        "register",
        "register the editable install",
        Register(source.path, str(places.environment), f"{version}+cpu", "cpu"),
        *("source", "requirements"),
    )
    return tuple(steps)


def _requirements(
    build: CpuBuild, release: Release, places: Places, target: Target
) -> Requirements:
    pinned = {
        exact_version(pin)
        for pin in release.torch
        if pin.role == "cpu" and target.holds(pin.marker)
    }
    exact = build.torch.value in pinned
    run = select_requirements(
        release.requirements.get("cpu", ()), target, torch_is_pinned_one=exact
    )
    compiled = select_requirements(release.build_requirements, target, torch_is_pinned_one=exact)
    return Requirements(
        str(places.environment), run.lines, compiled.lines, (*run.dropped, *compiled.dropped)
    )


def _configure(build: CpuBuild, source: Source, places: Places) -> Configure:
    definitions = {
        "CMAKE_BUILD_TYPE": "RelWithDebInfo",
        "VLLM_TARGET_DEVICE": "cpu",
        "VLLM_PYTHON_EXECUTABLE": str(places.environment / "bin" / "python"),
        "Torch_DIR": str(places.cmake),
        "FETCHCONTENT_BASE_DIR": str(places.build / "fetched"),
    }
    variables = {"VLLM_TARGET_DEVICE": "cpu"}
    if build.isa.value is Isa.AVX2:
        variables[SWITCH] = "true"
    return Configure(
        source.path, str(places.build), definitions, variables, build.compiler.value.path
    )


def _source_title(source: Source) -> str:
    match source.origin:
        case "sdist":
            return f"vLLM {source.version} from the package index"
        case "tree":
            return f"the tree at {source.path}, used in place"
        case "git":
            return f"{source.url} at {source.ref or 'HEAD'}"
