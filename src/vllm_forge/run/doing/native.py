"""Steps that compile: CMake's configure, and ninja under the scheduler."""

from dataclasses import replace
from pathlib import Path
from time import monotonic

from vllm_forge.records.event import StepProgress
from vllm_forge.records.plan import (
    HOOK,
    Compile,
    Configure,
    Environment,
    Plan,
    Projects,
    Reuse,
    Step,
    SystemPackages,
)
from vllm_forge.run.caches import CacheWish, caching
from vllm_forge.run.cmake_hook import write_cmake_hook
from vllm_forge.run.compile import Hearers, Kept, compile_targets
from vllm_forge.run.configure import configure
from vllm_forge.run.doing.bring import PROJECT
from vllm_forge.run.doing.site import Done, Site
from vllm_forge.run.environment import TorchProof
from vllm_forge.run.inputs import read_inputs
from vllm_forge.run.ninja import Progress
from vllm_forge.run.projects.obtain import Overrides, overrides_of
from vllm_forge.run.receipts import made
from vllm_forge.run.scheduler import RECORD, Snapshot, make_launcher
from vllm_forge.run.system_packages import include_folders, library_folders, python_include
from vllm_forge.run.torch_config import write_torch_config

GIB = 1 << 30


def make_native(action: Configure | Compile, site: Site) -> Done:
    match action:
        case Configure():
            return _configure(action, site)
        case Compile():
            return _compile(action, site)


def source_facts(step: Step) -> dict[str, str | None]:
    """Digests of the native sources that are compiled, or that what is reused was compiled from.

    Nothing for other steps.
    """
    if not isinstance(step.action, Compile | Reuse):
        return {}
    inputs = read_inputs(Path(step.action.source))
    return {"inputs_stat": inputs.stat, "inputs_content": inputs.content}


def _configure(action: Configure, site: Site) -> Done:
    """The planned definitions, and those that only the made things know."""
    facts = site.facts
    proof = TorchProof(
        version=facts["torch_version"] or "",
        cuda=facts["torch_cuda"],
        cxx11_abi=facts["torch_cxx11_abi"] == "new",
        folder=facts["torch_folder"] or "",
    )
    make_launcher(site.doors.home.launcher, action.compiler, site.doors.run)
    if "Torch_DIR" in action.definitions:
        write_torch_config(Path(action.definitions["Torch_DIR"]), proof)
    if HOOK in action.definitions:
        write_cmake_hook(Path(action.definitions[HOOK]))
    overrides = _overrides(site)
    definitions = {
        **action.definitions,
        **_unpacked_definitions(site.plan),
        **overrides.definitions,
    }
    variables = {**action.variables, **overrides.variables}
    worked = configure(
        replace(action, definitions=definitions, variables=variables),
        log=site.log,
        on_line=lambda _line: None,
        on_note=site.note,
    )
    return Done(
        action.build,
        (made(Path(action.build) / "CMakeCache.txt"),),
        cpu_seconds=worked.cpu_seconds,
        peak_bytes=worked.peak_bytes,
    )


def _overrides(site: Site) -> Overrides:
    """What makes CMake take the projects' folders."""
    projects = [
        one.project
        for step in site.plan.steps
        if isinstance(step.action, Projects)
        for one in step.action.planned
    ]
    folders = {each.name: site.facts[f"{PROJECT}{each.name}"] or "" for each in projects}
    return overrides_of(folders, projects)


def _unpacked_definitions(plan: Plan) -> dict[str, str]:
    """Flags for the distribution's packages that were unpacked: headers, libraries, run path."""
    packages = next(
        (step.action for step in plan.steps if isinstance(step.action, SystemPackages)), None
    )
    if packages is None or packages.install:
        return {}
    into = Path(packages.into)
    libraries = library_folders(into)
    link = " ".join(f"-L{folder} -Wl,-rpath,{folder}" for folder in libraries)
    definitions = {
        "CMAKE_CXX_FLAGS": " ".join(f"-isystem {folder}" for folder in include_folders(into)),
        "CMAKE_MODULE_LINKER_FLAGS": link,
    }
    headers = python_include(into, plan.choices["python"].value)
    if headers is not None:
        definitions["Python_INCLUDE_DIR"] = str(headers)
    return definitions


def _compile(action: Compile, site: Site) -> Done:
    doors = site.doors

    def progress(now: Progress, seen: Snapshot) -> None:
        told = StepProgress(site.step.name, monotonic(), now.done, now.total or None, "files")
        doors.emit(
            replace(
                told,
                at_work=seen.at_work,
                memory_bytes=seen.resident_bytes,
                waiting=seen.waiting,
                held=seen.held,
            )
        )

    before = source_facts(site.step)
    kept = Kept(site.log, doors.home.costs, doors.home.receipts(site.plan.key) / RECORD)
    with caching(_cache_wish(action, site), doors.run, site.note) as cache:
        compiled = compile_targets(action, kept, Hearers(progress, site.note), cache)
    worked, bound = compiled.worked, compiled.bound
    facts = {} if bound is None else {"bound_seconds": f"{bound.seconds:.3f}"}
    use = None if compiled.record is None else compiled.record.cache
    facts |= {} if use is None else {"cache": use.name, "cache_hits": str(use.hits)}
    ratio = f"{worked.seconds / bound.seconds:.2f} × the bound, " if bound and bound.seconds else ""
    summary = (
        f"{len(compiled.extensions)} extension{'s'[: len(compiled.extensions) != 1]}, "
        f"{worked.seconds:.0f} s, {ratio}peak {compiled.peak_bytes / GIB:.1f} GiB"
        f"{'' if use is None else f', {use.name} answered {use.hits} of {use.hits + use.misses}'}"
    )
    return Done(
        summary,
        tuple(made(path, hashed=True) for path in compiled.extensions),
        {**before, **facts},
        cpu_seconds=worked.cpu_seconds,
        peak_bytes=compiled.peak_bytes,
    )


def _cache_wish(action: Compile, site: Site) -> CacheWish:
    """The cache with the compilers it stands before and the folders that compiles name."""
    actions = [step.action for step in site.plan.steps]
    made = next(one for one in actions if isinstance(one, Configure))
    environment = next(one for one in actions if isinstance(one, Environment))
    projects = {
        name.removeprefix(PROJECT): Path(folder)
        for name, folder in site.facts.items()
        if name.startswith(PROJECT) and folder is not None
    }
    return CacheWish(
        kind=action.cache,
        required=action.cache_wished,
        folder=site.doors.home.caches,
        build=Path(action.build),
        launcher=Path(action.launcher),
        compiler=made.compiler,
        nvcc=made.definitions.get("CMAKE_CUDA_COMPILER"),
        roots={**projects, "tree": Path(action.source), "env": Path(environment.path)},
    )
