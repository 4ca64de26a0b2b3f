"""Decisions in, steps out: the order of the work and what each step stands on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from vllm_forge.plan.fingerprint import fingerprint
from vllm_forge.plan.launcher import launcher_definitions
from vllm_forge.plan.requirements import select_requirements
from vllm_forge.records.plan import (
    HOOK,
    MENDED,
    Action,
    Compile,
    Configure,
    Environment,
    MakeToolkit,
    PlannedTarget,
    Projects,
    Register,
    Requirements,
    Source,
    Step,
)
from vllm_forge.records.release import Release
from vllm_forge.records.resolution import Build, CpuPart, CudaPart
from vllm_forge.records.wishes import Device, Isa
from vllm_forge.resolve.cuda_facts import minor_of
from vllm_forge.resolve.isa import SWITCH
from vllm_forge.resolve.torch import Target, exact_version


@dataclass(frozen=True, slots=True)
class Places:
    """Where this plan's things lie, all below the forge's home but for a tree or env of the user's.

    `cmake` is where the Torch package of our own is written, `launcher` the program in front of
    every compiler.
    """

    environment: PurePath
    build: PurePath
    cmake: PurePath
    launcher: PurePath


@dataclass(frozen=True, slots=True)
class Frame:
    """What the steps are set in: folders, the environment markers are judged for, a lock's text."""

    places: Places
    target: Target
    locked: str | None = None


def steps_for(
    build: Build,
    release: Release,
    source: Source,
    frame: Frame,
    targets: Sequence[PlannedTarget],
) -> tuple[Step, ...]:
    """System packages where needed, then the tree, the environment, CMake, ninja, registration."""
    places = frame.places
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
    made: list[str] = []
    if isinstance(build.part, CudaPart):
        for name, title, action in _cuda_actions(build.part):
            add(name, title, action)
            made.append(name)
    add("source", _source_title(source), source)
    torch = build.torch.value
    python = build.python.value
    add(
        "environment",
        f"Python {python.version} with torch {torch}",
        Environment(str(places.environment), python.path, torch, _torch_cuda(build)),
    )
    add(
        "requirements",
        "vLLM's requirements, torch protected",
        _requirements(build, release, frame),
        "environment",
    )
    add(
        "configure",
        "configure with CMake",
        _configure(build, source, places),
        *("source", "environment", *system, *made),
    )
    names = tuple(planned.name for planned in targets if planned.build)
    modules = {extension.name: extension.module for extension in release.targets}
    add(
        "compile",
        f"compile {', '.join(names)}",
        Compile(
            source.path,
            str(places.build),
            names,
            tuple(modules[name] for name in names),
            str(places.launcher),
            build.limits.cores,
            build.limits.memory_bytes,
            build.compiler_cache.value,
            build.limits.cache_wished,
        ),
        *("source", "configure"),
    )
    add(
        "register",
        "register the editable install",
        Register(
            source.path, str(places.environment), version_of(build, release), build.device.value
        ),
        *("source", "requirements"),
    )
    return tuple(steps)


def _cuda_actions(part: CudaPart) -> Iterator[tuple[str, str, Action]]:
    """What a CUDA build needs on this machine before CMake: the toolkit, and fetched projects."""
    if part.offer is not None:
        kit = part.offer.toolkit
        title = f"CUDA {kit.nvcc} from {part.offer.origin}, without root"
        yield (
            "toolkit",
            title,
            MakeToolkit(part.offer.provider, kit.nvcc or kit.version, kit.path, part.offer.origin),
        )
    projects = part.projects.value
    if projects.planned:
        kinds = {"stub": "a stub of", "git": "by git", "index": "from the package index"}
        said = ", ".join(
            f"{kinds.get(one.origin, 'from your folder')} {one.project.name}"
            if one.origin == "stub"
            else f"{one.project.name} {kinds.get(one.origin, 'from your folder')}"
            for one in projects.planned
        )
        yield "projects", said, Projects(projects.planned, projects.ways)


def version_of(build: Build, release: Release) -> str:
    """The version setup.py would give it: `+cpu`, or `+cu124` where nvcc is not the main CUDA.

    0.10.1 setup.py:529-547.
    """
    version = release.version.value or "0"
    if isinstance(build.part, CpuPart):
        local = "cpu"
    else:
        nvcc = minor_of(build.part.toolkit.value.version)
        if nvcc == release.main_cuda.value:
            return version
        local = f"cu{nvcc.replace('.', '')}"
    return f"{version}{'.' if '+' in version else '+'}{local}"


def _torch_cuda(build: Build) -> str | None:
    match build.part:
        case CpuPart():
            return None
        case CudaPart(torch_cuda=torch_cuda):
            return torch_cuda.value


def _requirements(build: Build, release: Release, frame: Frame) -> Requirements:
    pinned = {
        exact_version(pin)
        for pin in release.torch
        if pin.role == build.device.value and frame.target.holds(pin.marker)
    }
    exact = build.torch.value in pinned
    run = select_requirements(
        release.requirements.get(build.device.value, ()), frame.target, torch_is_pinned_one=exact
    )
    compiled = select_requirements(
        release.build_requirements, frame.target, torch_is_pinned_one=exact
    )
    return Requirements(
        str(frame.places.environment),
        run.lines,
        compiled.lines,
        (*run.dropped, *compiled.dropped),
        locked=frame.locked,
    )


def _configure(build: Build, source: Source, places: Places) -> Configure:
    """CMake's definitions, as setup.py's own `configure` gives them (0.10.1 setup.py:143-220)."""
    definitions = {
        "CMAKE_BUILD_TYPE": "RelWithDebInfo",
        "VLLM_TARGET_DEVICE": build.device.value,
        "VLLM_PYTHON_EXECUTABLE": str(places.environment / "bin" / "python"),
        "FETCHCONTENT_BASE_DIR": str(places.build / "fetched"),
        **launcher_definitions(places.launcher, cuda=build.device is Device.CUDA),
    }
    variables = {"VLLM_TARGET_DEVICE": build.device.value}
    match build.part:
        case CpuPart(isa=isa):
            definitions["Torch_DIR"] = str(places.cmake)
            if isa.value is Isa.AVX2:
                variables[SWITCH] = "true"
        case CudaPart(toolkit=toolkit, gpu_arch=gpu_arch, nvcc_threads=threads, instead=instead):
            prefix = toolkit.value.path
            definitions["CMAKE_CUDA_COMPILER"] = f"{prefix}/bin/nvcc"
            definitions["CUDAToolkit_ROOT"] = prefix
            definitions["CUDA_TOOLKIT_ROOT_DIR"] = prefix  # for FindCUDA, which torch still asks
            definitions["CMAKE_CUDA_HOST_COMPILER"] = build.compiler.value.path
            definitions["NVCC_THREADS"] = str(threads.value)
            variables["CUDA_HOME"] = prefix
            variables["TORCH_CUDA_ARCH_LIST"] = ";".join(gpu_arch.value)
            if instead:
                definitions[HOOK] = str(places.cmake / "forge-architectures.cmake")
                definitions[MENDED] = ";".join(
                    f"{wrong}={right}".replace(".", "") for wrong, right in instead
                )
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
