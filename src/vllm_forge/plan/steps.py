"""Decisions in, steps out: the order of the work and what each step stands on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from vllm_forge.plan.fingerprint import fingerprint
from vllm_forge.plan.launcher import launcher_definitions
from vllm_forge.plan.requirements import select_requirements
from vllm_forge.records.plan import (
    HOOK,
    LEAVING_OUT,
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
    Reuse,
    ReusedTarget,
    Source,
    Specialize,
    Step,
)
from vllm_forge.records.release import Release
from vllm_forge.records.resolution import Build, CpuPart, CudaPart, PrecompiledPart
from vllm_forge.records.reuse import Reused
from vllm_forge.records.wishes import Device, Isa
from vllm_forge.resolve.cuda_facts import minor_of
from vllm_forge.resolve.isa import SWITCH
from vllm_forge.resolve.torch import Target, exact_version

SPECIALIZE_FILE: Final = "specialize.cmake"


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
    """What the steps are set in: folders, the environment markers are judged for, a lock's text.

    `without` names requirements that the user leaves out.
    """

    places: Places
    target: Target
    locked: str | None = None
    without: tuple[str, ...] = ()


class Line:
    """Steps in their order; each is marked by those it stands on."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def add(self, name: str, title: str, action: Action, *after: str) -> str:
        """Put one at the end and return its name; `after` are names of earlier ones.

        A toolkit, once made, is no step of the next plan: it marks what stands on it by its folder.
        """
        marks = [
            step.fingerprint
            for step in self.steps
            if step.name in after and not isinstance(step.action, MakeToolkit)
        ]
        self.steps.append(Step(name, title, action, after, fingerprint(action, marks)))
        return name


def steps_for(
    build: Build,
    release: Release,
    source: Source,
    frame: Frame,
    targets: Sequence[PlannedTarget],
) -> tuple[Step, ...]:
    """System packages where needed, then the tree, the environment, CMake, ninja, registration.

    What is taken out of a wheel comes before what is compiled: where it does not fit after all, no
    compile is waited for. Where nothing is compiled, neither toolkit nor CMake has a step.
    """
    places = frame.places
    compiled = tuple(one.name for one in targets if one.build and one.origin != "reuse")
    line = Line()
    ground = _lay_ground(line, build) if compiled else ()
    line.add("source", _source_title(source), source)
    torch = build.torch.value
    python = build.python.value
    line.add(
        "environment",
        f"Python {python.version} with {_torch_title(build)}",
        Environment(str(places.environment), python.path, torch, _torch_cuda(build), build.lent),
    )
    line.add(
        "requirements",
        "vLLM's requirements, torch protected",
        _requirements(build, release, frame),
        "environment",
    )
    if not isinstance(build.part, CpuPart) and build.part.reused is not None:
        reused = build.part.reused
        reuse = _reuse(reused, build.part.gpu_arch.value, source, places)
        title = f"take {', '.join(reused.members)} out of {reused.wheel.filename}"
        line.add("reuse", title, reuse, "source", "environment")
    if compiled and build.specialization is not None:
        special = build.specialization.value
        count = sum(len(one.files) for one in special.left_out)
        title = f"leave out {count} files that this checkpoint cannot reach"
        line.add("specialize", title, Specialize(str(places.cmake), special))
        ground = (*ground, "specialize")
    if compiled:
        configure = _configure(build, source, places)
        before = ("source", "environment", *ground)
        line.add("configure", "configure with CMake", configure, *before)
        action = _compile(compiled, build, release, source, places)
        line.add("compile", f"compile {', '.join(compiled)}", action, "source", "configure")
    line.add(
        "register",
        "register the editable install",
        Register(
            source.path,
            str(places.environment),
            version_of(build, release, compiles=bool(compiled)),
            build.device.value,
        ),
        *("source", "requirements"),
    )
    return tuple(line.steps)


def _lay_ground(line: Line, build: Build) -> tuple[str, ...]:
    """What a compile needs on this machine: headers, the toolkit, fetched projects."""
    laid = []
    packages = build.system_packages.value
    if packages is not None:
        verb = "install" if packages.install else "unpack"
        title = f"{verb} {', '.join(packages.packages)}"
        laid.append(line.add("system-packages", title, packages))
    if isinstance(build.part, CudaPart):
        for name, title, action in _cuda_actions(build.part):
            laid.append(line.add(name, title, action))
    return tuple(laid)


def _compile(
    names: tuple[str, ...], build: Build, release: Release, source: Source, places: Places
) -> Compile:
    modules = {extension.name: extension.module for extension in release.targets}
    return Compile(
        source.path,
        str(places.build),
        names,
        tuple(modules[name] for name in names),
        str(places.launcher),
        build.limits.cores,
        build.limits.memory_bytes,
        build.compiler_cache.value,
        build.limits.cache_wished,
    )


def _reuse(reused: Reused, gpu_arch: tuple[str, ...], source: Source, places: Places) -> Reuse:
    return Reuse(
        source=source.path,
        environment=str(places.environment),
        version=reused.wheel.version,
        wheel=reused.wheel.filename,
        sha256=reused.wheel.sha256,
        targets=tuple(ReusedTarget(name, members) for name, members in reused.members.items()),
        gpu_arch=gpu_arch,
    )


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


def version_of(build: Build, release: Release, *, compiles: bool = True) -> str:
    """The version setup.py would give it: `+cpu`, or `+cu124` where nvcc is not the main CUDA.

    `+precompiled` where nothing is compiled (0.10.1 setup.py:529-547).
    """
    version = release.version.value or "0"
    if isinstance(build.part, CpuPart):
        local = "cpu"
    elif isinstance(build.part, PrecompiledPart) or not compiles:
        local = "precompiled"
    else:
        nvcc = minor_of(build.part.toolkit.value.version)
        if nvcc == release.main_cuda.value:
            return version
        local = f"cu{nvcc.replace('.', '')}"
    return f"{version}{'.' if '+' in version else '+'}{local}"


def _torch_title(build: Build) -> str:
    if build.lent is None:
        return f"torch {build.torch.value}"
    return f"the torch {build.lent.torch} of {build.lent.python}"


def _torch_cuda(build: Build) -> str | None:
    match build.part:
        case CpuPart():
            return None
        case CudaPart(torch_cuda=torch_cuda) | PrecompiledPart(torch_cuda=torch_cuda):
            return torch_cuda.value


def _requirements(build: Build, release: Release, frame: Frame) -> Requirements:
    pinned = {
        exact_version(pin)
        for pin in release.torch
        if pin.role == build.device.value and frame.target.holds(pin.marker)
    }
    exact = build.torch.value in pinned
    run = select_requirements(
        release.requirements.get(build.device.value, ()),
        frame.target,
        torch_is_pinned_one=exact,
        without=frame.without,
    )
    compiled = select_requirements(
        release.build_requirements,
        frame.target,
        torch_is_pinned_one=exact,
        without=frame.without,
    )
    return Requirements(
        str(frame.places.environment),
        run.lines,
        compiled.lines,
        (*run.dropped, *compiled.dropped),
        locked=frame.locked,
        lent=build.lent,
    )


def _configure(build: Build, source: Source, places: Places) -> Configure:
    """CMake's definitions, as setup.py's own `configure` gives them (0.10.1 setup.py:143-220).

    Raises:
        ValueError: for a build that compiles nothing, and so chose no compiler.
    """
    if build.compiler is None:
        raise ValueError("nothing to configure: no compiler was chosen")
    compiler = build.compiler.value.path
    definitions = {
        "CMAKE_BUILD_TYPE": "RelWithDebInfo",
        "VLLM_TARGET_DEVICE": build.device.value,
        "VLLM_PYTHON_EXECUTABLE": str(places.environment / "bin" / "python"),
        "FETCHCONTENT_BASE_DIR": str(places.build / "fetched"),
        **launcher_definitions(places.launcher, cuda=build.device is Device.CUDA),
    }
    if build.specialization is not None:
        definitions[LEAVING_OUT] = str(places.cmake / SPECIALIZE_FILE)
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
            definitions["CMAKE_CUDA_HOST_COMPILER"] = compiler
            definitions["NVCC_THREADS"] = str(threads.value)
            variables["CUDA_HOME"] = prefix
            variables["TORCH_CUDA_ARCH_LIST"] = ";".join(gpu_arch.value)
            if instead:
                definitions[HOOK] = str(places.cmake / "forge-architectures.cmake")
                definitions[MENDED] = ";".join(
                    f"{wrong}={right}".replace(".", "") for wrong, right in instead
                )
        case PrecompiledPart():
            pass
    return Configure(source.path, str(places.build), definitions, variables, compiler)


def _source_title(source: Source) -> str:
    match source.origin:
        case "sdist":
            return f"vLLM {source.version} from the package index"
        case "tree":
            return f"the tree at {source.path}, used in place"
        case "git":
            return f"{source.url} at {source.ref or 'HEAD'}"
