"""A plan and what it resolved to become a lock; a later plan is held against it, name by name."""

from collections.abc import Iterator, Mapping
from pathlib import PurePath

from vllm_forge.plan.launcher import launcher_definitions
from vllm_forge.records.lock import SCHEMA, Lock, LockedProject, LockedSource, LockedWheel
from vllm_forge.records.plan import (
    HOOK,
    LEAVING_OUT,
    Configure,
    Environment,
    Plan,
    Requirements,
    Reuse,
    Source,
)
from vllm_forge.records.release import Release
from vllm_forge.records.wishes import Device, Isa, Strategy, Wishes

OF_ONE_MACHINE = frozenset(
    {
        "VLLM_PYTHON_EXECUTABLE",
        "FETCHCONTENT_BASE_DIR",
        "Torch_DIR",
        "CMAKE_CUDA_COMPILER",
        "CMAKE_CUDA_HOST_COMPILER",
        "CUDAToolkit_ROOT",
        "CUDA_TOOLKIT_ROOT_DIR",
        "CUDA_HOME",
        "NVCC_THREADS",
        HOOK,
        LEAVING_OUT,
        *launcher_definitions(PurePath("launcher"), cuda=True),
    }
)
"""Definitions and variables that are folders here, whose versions are locked instead, and what
suits this machine's cores and changes nothing that is made."""


def make_lock(
    plan: Plan, release: Release, *, sha256: str | None, packages: str, forge: str
) -> Lock:
    """`sha256` pins the source, `packages` is the resolved requirements file with hashes."""
    actions = [step.action for step in plan.steps]
    source = next(action for action in actions if isinstance(action, Source))
    configure = next((action for action in actions if isinstance(action, Configure)), None)
    reuse = next((action for action in actions if isinstance(action, Reuse)), None)
    chosen = {subject: choice.value for subject, choice in plan.choices.items()}
    return Lock(
        schema=SCHEMA,
        forge=forge,
        device="cuda" if chosen["device"] == Device.CUDA else "cpu",
        source=LockedSource(source.origin, str(chosen["vllm"]), sha256, source.url, source.ref),
        python=minor_python(str(chosen["python"])),
        torch=str(chosen["torch"]),
        toolkit=chosen["toolkit"],
        compiler=chosen["compiler"],
        gpu_arch=tuple(chosen["gpu_arch"] or ()),
        isa=chosen.get("isa"),
        targets=tuple(target.name for target in plan.targets if target.build),
        projects=tuple(
            LockedProject(project.name, project.url, project.revision)
            for project in release.projects
            if chosen["device"] in project.devices
        ),
        definitions=portable(configure.definitions) if configure else {},
        variables=portable(configure.variables) if configure else {},
        packages=packages,
        wheel=locked_wheel(reuse) if reuse else None,
        left_out={
            target.name: tuple(sorted(file for one in target.left_out for file in one.files))
            for target in plan.targets
            if target.build and target.left_out
        },
    )


def find_drift(locked: Lock, now: Lock) -> tuple[str, ...]:
    """What differs, each as `NAME: locked X, now Y`. The forge's own version may differ."""

    def differences() -> Iterator[str]:
        for name in ("device", "python", "torch", "toolkit", "compiler", "gpu_arch", "isa"):
            yield from _one(name, getattr(locked, name), getattr(now, name))
        for name in ("origin", "version", "sha256", "url", "ref"):
            yield from _one(
                f"source.{name}", getattr(locked.source, name), getattr(now.source, name)
            )
        yield from _one("targets", locked.targets, now.targets)
        yield from _each("wheel", _wheel(locked), _wheel(now))
        yield from _left_out(locked, now)
        yield from _each("project", _projects(locked), _projects(now))
        yield from _each("definition", portable(locked.definitions), now.definitions)
        yield from _each("variable", portable(locked.variables), now.variables)

    return tuple(differences())


def _left_out(locked: Lock, now: Lock) -> Iterator[str]:
    """File by file: a lock of a specialized build needs its checkpoint again (--specialize)."""
    for target in sorted(locked.left_out.keys() | now.left_out.keys()):
        before, after = locked.left_out.get(target, ()), now.left_out.get(target, ())
        for file in sorted(set(before) ^ set(after)):
            said, found = ("left out", "compiled") if file in before else ("compiled", "left out")
            yield f"{target} {file}: locked {said}, now {found}"


def wishes_of(lock: Lock, wishes: Wishes) -> Wishes:
    """The command line's wishes with the lock's answers; folders and limits stay the user's."""
    vllm = lock.source.version if lock.source.origin == "sdist" else wishes.vllm
    return Wishes(
        vllm=vllm,
        device=Device(lock.device),
        cuda=lock.toolkit,
        torch=lock.torch,
        python=lock.python,
        gpu_arch=",".join(lock.gpu_arch) or "auto",
        isa=Isa(lock.isa) if lock.isa else Isa.AUTO,
        checkpoint=wishes.checkpoint,
        specialize=wishes.specialize,
        strategy=_strategy(lock),
        targets=lock.targets,
        reuse=lock.wheel.targets if lock.wheel and lock.toolkit else (),
        project=wishes.project,
        git_mirror=wishes.git_mirror,
        jobs=wishes.jobs,
        memory=wishes.memory,
        compiler_cache=wishes.compiler_cache,
        env=wishes.env,
        find_links=wishes.find_links,
        offline=wishes.offline,
    )


def locked_wheel(reuse: Reuse) -> LockedWheel:
    return LockedWheel(reuse.wheel, reuse.sha256, tuple(one.name for one in reuse.targets))


def _strategy(lock: Lock) -> Strategy:
    """The one that leads to the lock's targets on any machine."""
    if lock.wheel is None:
        return Strategy.FULL
    return Strategy.HYBRID if lock.toolkit else Strategy.PRECOMPILED


def _wheel(lock: Lock) -> dict[str, str]:
    if lock.wheel is None:
        return {}
    wheel = lock.wheel
    return {"file": wheel.filename, "sha256": wheel.sha256, "targets": ", ".join(wheel.targets)}


def requirement_text(plan: Plan) -> str:
    """What has to be resolved for a plan: torch and every line, as a requirements file."""
    actions = [step.action for step in plan.steps]
    environment = next(action for action in actions if isinstance(action, Environment))
    requirements = next(action for action in actions if isinstance(action, Requirements))
    lines = (f"torch=={environment.torch}", *requirements.lines, *requirements.build_lines)
    return "".join(f"{line}\n" for line in lines)


def minor_python(version: str) -> str:
    """`3.12.1` → `3.12`: a patch release changes nothing that is built."""
    return ".".join(version.split(".")[:2])


def portable(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name not in OF_ONE_MACHINE}


def _projects(lock: Lock) -> dict[str, str]:
    return {project.name: f"{project.url} at {project.revision}" for project in lock.projects}


def _one(name: str, locked: object, now: object) -> Iterator[str]:
    if locked != now:
        yield f"{name}: locked {_shown(locked)}, now {_shown(now)}"


def _each(kind: str, locked: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(locked.keys() | now.keys()):
        yield from _one(f"{kind} {name}", locked.get(name), now.get(name))


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
