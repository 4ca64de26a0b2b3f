"""What doing each kind of step is: one function for each action of a plan."""

from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import assert_never

from vllm_forge.records.event import Note, StepProgress
from vllm_forge.records.plan import (
    Compile,
    Configure,
    Environment,
    Plan,
    Register,
    Requirements,
    Source,
    Step,
    SystemPackages,
)
from vllm_forge.records.receipt import Made, Receipt
from vllm_forge.run.compile import Hearers, Kept, compile_targets
from vllm_forge.run.configure import configure
from vllm_forge.run.doors import Doors
from vllm_forge.run.environment import (
    CONSTRAINTS,
    TorchProof,
    install_requirements,
    make_environment,
    package_folders,
    prove_torch,
    python_of,
)
from vllm_forge.run.index import uv_environment
from vllm_forge.run.inputs import read_inputs
from vllm_forge.run.ninja import Progress
from vllm_forge.run.process import run_in_group
from vllm_forge.run.receipts import made
from vllm_forge.run.register import register_editable
from vllm_forge.run.scheduler import RECORD, Snapshot, make_launcher
from vllm_forge.run.source import obtain_source, read_published
from vllm_forge.run.system_packages import (
    include_folders,
    library_folders,
    python_include,
    unpack_system_packages,
)
from vllm_forge.run.torch_config import write_torch_config
from vllm_forge.run.uv import Uv

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Done:
    """What one step reports: files it made, facts for later steps, and a line for people."""

    summary: str
    made: tuple[Made, ...] = ()
    facts: dict[str, str | None] | None = None
    cpu_seconds: float | None = None
    peak_bytes: int | None = None


def do_step(step: Step, plan: Plan, doors: Doors, receipts: dict[str, Receipt], log: Path) -> Done:
    """Dispatch on the action. Facts of earlier steps come out of their receipts."""
    facts = {name: value for one in receipts.values() for name, value in one.facts.items()}

    def told(line: str) -> None:
        said = line.strip()
        if said and not said.startswith(("+", "-", "~")):  # uv's list of what it installed
            doors.emit(StepProgress(step.name, monotonic(), 0, None, "packages", (said,)))

    uv = Uv(uv_environment(doors.settings, doors.environ), log, doors.offline, told)
    match step.action:
        case SystemPackages() as action:
            return _system_packages(action, log)
        case Source() as action:
            return _source(action, step, doors, log)
        case Environment() as action:
            return _environment(action, uv)
        case Requirements() as action:
            resolved = install_requirements(
                action,
                uv,
                torch=facts["torch"] or "",
                published=facts.get("published"),
                on_note=lambda message: doors.emit(Note(monotonic(), message)),
            )
            count = sum(1 for line in resolved.read_text().splitlines() if line[:1].isalnum())
            folders = package_folders(Path(action.environment))
            return Done(
                f"{count} package{'s'[: count != 1]}, their hashes in {resolved}",
                (made(resolved), *(made(folder) for folder in folders)),
            )
        case Configure() as action:
            return _configure(action, plan, facts, doors, log)
        case Compile() as action:
            return _compile(action, step, plan, doors, log)
        case Register() as action:
            requires = (f"torch=={facts['torch']}", *requirement_lines(plan))
            written = register_editable(action, requires, uv, doors.run)
            return Done(
                f"vllm {action.version}, editable at {action.source}",
                tuple(made(path) for path in written),
            )
        case _:
            assert_never(step.action)


def _system_packages(action: SystemPackages, log: Path) -> Done:
    folders = unpack_system_packages(action, log=log)
    verb = "installed" if action.install else f"unpacked under {action.into}"
    return Done(f"{', '.join(action.packages)} {verb}", tuple(made(folder) for folder in folders))


def _source(action: Source, step: Step, doors: Doors, log: Path) -> Done:
    def progress(done: int, total: int | None) -> None:
        doors.emit(StepProgress(step.name, monotonic(), done, total, "bytes"))

    path = obtain_source(
        action,
        downloads=doors.home.downloads,
        settings=doors.settings,
        network=doors.network,
        log=log,
        on_progress=progress,
    )
    published = read_published(action, doors.settings, doors.network, doors.run)
    return Done(str(path), (made(path / "CMakeLists.txt"),), {"published": published})


def _environment(action: Environment, uv: Uv) -> Done:
    path = make_environment(action, uv)
    uv.on_line("importing torch once")
    proof = prove_torch(action, run_in_group(uv.log))
    facts = {
        "torch": action.torch,
        "torch_version": proof.version,
        "torch_cuda": proof.cuda,
        "torch_cxx11_abi": "new" if proof.cxx11_abi else "old",
        "torch_folder": proof.folder,
    }
    abi = f"the {facts['torch_cxx11_abi']} C++ ABI"
    return Done(
        f"torch {proof.version} imports, CUDA {proof.cuda or 'none'}, {abi}",
        tuple(made(one) for one in (python_of(path), path / CONSTRAINTS, *package_folders(path))),
        facts,
    )


def _configure(
    action: Configure, plan: Plan, facts: dict[str, str | None], doors: Doors, log: Path
) -> Done:
    """The planned definitions, and those that only the made things know."""
    proof = TorchProof(
        version=facts["torch_version"] or "",
        cuda=facts["torch_cuda"],
        cxx11_abi=facts["torch_cxx11_abi"] == "new",
        folder=facts["torch_folder"] or "",
    )
    make_launcher(doors.home.launcher, action.compiler, doors.run)
    if "Torch_DIR" in action.definitions:
        write_torch_config(Path(action.definitions["Torch_DIR"]), proof)
    definitions = {**action.definitions, **_unpacked_definitions(plan)}
    worked = configure(
        replace(action, definitions=definitions),
        log=log,
        on_line=lambda _line: None,
        on_note=lambda message: doors.emit(Note(monotonic(), message)),
    )
    return Done(
        action.build,
        (made(Path(action.build) / "CMakeCache.txt"),),
        cpu_seconds=worked.cpu_seconds,
        peak_bytes=worked.peak_bytes,
    )


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


def _compile(action: Compile, step: Step, plan: Plan, doors: Doors, log: Path) -> Done:
    def progress(now: Progress, seen: Snapshot) -> None:
        doors.emit(
            StepProgress(
                step.name,
                monotonic(),
                now.done,
                now.total or None,
                "files",
                seen.running,
                seen.resident_bytes,
                seen.waiting,
                seen.held,
            )
        )

    before = source_facts(step)
    kept = Kept(log, doors.home.costs, doors.home.receipts(plan.key) / RECORD)
    hearers = Hearers(progress, lambda message: doors.emit(Note(monotonic(), message)))
    compiled = compile_targets(action, kept, hearers)
    worked, bound = compiled.worked, compiled.bound
    facts = {} if bound is None else {"bound_seconds": f"{bound.seconds:.3f}"}
    ratio = f"{worked.seconds / bound.seconds:.2f} × the bound, " if bound and bound.seconds else ""
    summary = (
        f"{len(compiled.extensions)} extension{'s'[: len(compiled.extensions) != 1]}, "
        f"{worked.seconds:.0f} s, {ratio}peak {compiled.peak_bytes / GIB:.1f} GiB"
    )
    return Done(
        summary,
        tuple(made(path, hashed=True) for path in compiled.extensions),
        {**before, **facts},
        cpu_seconds=worked.cpu_seconds,
        peak_bytes=compiled.peak_bytes,
    )


def requirement_lines(plan: Plan) -> tuple[str, ...]:
    for step in plan.steps:
        if isinstance(step.action, Requirements):
            return step.action.lines
    return ()


def source_facts(step: Step) -> dict[str, str | None]:
    if not isinstance(step.action, Compile):
        return {}
    inputs = read_inputs(Path(step.action.source))
    return {"inputs_stat": inputs.stat, "inputs_content": inputs.content}
