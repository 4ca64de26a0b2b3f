"""CMake's run, and a site's way into the artifact store that may make it needless."""

from dataclasses import replace
from pathlib import Path

from vllm_forge.records.plan import (
    HOOK,
    Compile,
    Configure,
    Plan,
    Projects,
    SystemPackages,
)
from vllm_forge.records.release import FetchedProject
from vllm_forge.run.cmake_hook import write_cmake_hook
from vllm_forge.run.configure import configure, configured_by
from vllm_forge.run.doing.bring import PROJECT
from vllm_forge.run.doing.site import Site, action_of
from vllm_forge.run.doing.watching import watching_cmake
from vllm_forge.run.environment import TorchProof
from vllm_forge.run.inputs import read_native_stats
from vllm_forge.run.process import Worked
from vllm_forge.run.projects.obtain import Overrides, overrides_of
from vllm_forge.run.scheduler import make_launcher
from vllm_forge.run.store.digests import digest_of
from vllm_forge.run.store.graph import Ninja
from vllm_forge.run.store.ledger import Ledger, read_ledger, write_ledger
from vllm_forge.run.store.run_path import with_room
from vllm_forge.run.store.setting import Places, read_setting
from vllm_forge.run.store.shelf import Shelf
from vllm_forge.run.system_packages import include_folders, library_folders, python_include
from vllm_forge.run.torch_config import write_torch_config


def open_shelf(site: Site) -> Shelf | None:
    """None without a store, or where torch cannot be told apart: then everything is compiled."""
    doors = site.doors
    if not doors.store.exists:
        return None
    whole = whole_configure(site)
    packages = _packages(site.plan)
    places = Places(
        environment=Path(whole.definitions["VLLM_PYTHON_EXECUTABLE"]).parent.parent,
        launcher=doors.home.launcher,
        system=None if packages is None else Path(packages.into),
        projects=_folders(site),
        pins={one.name: f"{one.url} {one.revision}" for one in _projects(site.plan)},
    )
    doors.store.digests.forget()
    setting = read_setting(whole, proof_of(site), places, doors.store.digests, doors.run)
    if setting is None:
        return None
    wanted = action_of(site.plan, Compile)
    modules = dict(zip(wanted.targets, wanted.modules, strict=True))
    return Shelf(doors.store, setting, modules, Ninja(Path(wanted.build), doors.run))


def whole_configure(site: Site) -> Configure:
    """The planned definitions, and those that only the made things know."""
    action = action_of(site.plan, Configure)
    overrides = _overrides(site)
    definitions = {
        **action.definitions,
        **_unpacked_definitions(site.plan),
        **overrides.definitions,
    }
    return replace(
        action, definitions=definitions, variables={**action.variables, **overrides.variables}
    )


def run_cmake(site: Site) -> Worked:
    """Configure the build folder, and remember which sources that wrote into the tree."""
    whole = whole_configure(site)
    make_launcher(site.doors.home.launcher, whole.compiler, site.doors.run)
    if "Torch_DIR" in whole.definitions:
        write_torch_config(Path(whole.definitions["Torch_DIR"]), proof_of(site))
    if HOOK in whole.definitions:
        write_cmake_hook(Path(whole.definitions[HOOK]))
    tree, build = Path(whole.source), Path(whole.build)
    known = read_ledger(build)
    if known.configured:
        write_ledger(build, replace(known, configured=""))
    before = read_native_stats(tree)
    with watching_cmake(site) as seen:
        worked = configure(
            whole, seen.identity, log=site.log, on_line=lambda _line: None, on_note=site.note
        )
        after = read_native_stats(tree)
    written = {str(tree / name) for name in after if after[name] != before.get(name)}
    generated = tuple(sorted({*known.generated, *written}))
    write_ledger(build, Ledger(known.objects, generated, digest_of(whole)))
    return worked


def is_configured(whole: Configure) -> bool:
    """Whether the build folder stands as this very action makes it: the store may have skipped it.

    Unlike the question whether the folder can be used again, this looks at every definition. A
    cmake that is gone, with the environment that vllm-forge was installed in before, is needed
    again as soon as a CMake file changes.
    """
    build = Path(whole.build)
    if read_ledger(build).configured != digest_of(whole) or not (build / "build.ninja").exists():
        return False
    cmake = configured_by(build)
    return cmake is not None and cmake.exists()


def proof_of(site: Site) -> TorchProof:
    """What torch said of itself when the environment was made."""
    facts = site.facts
    return TorchProof(
        version=facts["torch_version"] or "",
        cuda=facts["torch_cuda"],
        cxx11_abi=facts["torch_cxx11_abi"] == "new",
        folder=facts["torch_folder"] or "",
    )


def _projects(plan: Plan) -> list[FetchedProject]:
    return [
        one.project
        for step in plan.steps
        if isinstance(step.action, Projects)
        for one in step.action.planned
    ]


def _folders(site: Site) -> dict[str, str]:
    return {one.name: site.facts[f"{PROJECT}{one.name}"] or "" for one in _projects(site.plan)}


def _overrides(site: Site) -> Overrides:
    """What makes CMake take the projects' folders."""
    return overrides_of(_folders(site), _projects(site.plan))


def _packages(plan: Plan) -> SystemPackages | None:
    """Those unpacked under the home; None where there are none, or they were installed."""
    for step in plan.steps:
        if isinstance(step.action, SystemPackages) and not step.action.install:
            return step.action
    return None


def _unpacked_definitions(plan: Plan) -> dict[str, str]:
    """Flags for the distribution's packages that were unpacked: headers, libraries, run path."""
    packages = _packages(plan)
    if packages is None:
        return {}
    into = Path(packages.into)
    libraries = library_folders(into)
    link = " ".join(f"-L{folder}" for folder in libraries)
    if libraries:  # with room for another home's: an extension may come to lie there
        link += f" -Wl,-rpath,{with_room(':'.join(str(folder) for folder in libraries))}"
    definitions = {
        "CMAKE_CXX_FLAGS": " ".join(f"-isystem {folder}" for folder in include_folders(into)),
        "CMAKE_MODULE_LINKER_FLAGS": link,
    }
    headers = python_include(into, plan.choices["python"].value)
    if headers is not None:
        definitions["Python_INCLUDE_DIR"] = str(headers)
    return definitions
