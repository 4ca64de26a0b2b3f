"""Steps that bring what a build stands on: packages, toolkit, the tree, fetched projects."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from vllm_forge.records.event import Event, Note, StepProgress
from vllm_forge.records.plan import MakeToolkit, Projects, Source, SystemPackages
from vllm_forge.run.doing.site import Done, Site
from vllm_forge.run.projects.obtain import obtain_project
from vllm_forge.run.receipts import made
from vllm_forge.run.source import obtain_source, read_published
from vllm_forge.run.system_packages import unpack_system_packages
from vllm_forge.run.toolkits.choosing import find_offer
from vllm_forge.run.toolkits.making import RECEIPT, make_toolkit
from vllm_forge.run.toolkits.provider import Asked, Recipe

PROJECT: Final = "project:"
"""How facts begin that name a project's folder."""


def bring(action: SystemPackages | MakeToolkit | Projects | Source, site: Site) -> Done:
    match action:
        case SystemPackages():
            return _system_packages(action, site)
        case MakeToolkit():
            return _toolkit(action, site)
        case Projects():
            return _projects(action, site)
        case Source():
            return _source(action, site)


def _system_packages(action: SystemPackages, site: Site) -> Done:
    folders = unpack_system_packages(action, log=site.log)
    verb = "installed" if action.install else f"unpacked under {action.into}"
    return Done(f"{', '.join(action.packages)} {verb}", tuple(made(folder) for folder in folders))


def _toolkit(action: MakeToolkit, site: Site) -> Done:
    """As `toolkit add` makes it; its own step and ours are one on the screen."""
    doors = site.doors

    def emit(event: Event) -> None:
        if isinstance(event, StepProgress):
            doors.emit(replace(event, step=site.step.name))
        elif isinstance(event, Note):
            doors.emit(event)

    found = find_offer(Asked(action.nvcc), doors, action.provider)
    if isinstance(found, Recipe):
        make_toolkit(found, replace(doors, emit=emit))
    prefix = Path(action.path)
    return Done(action.path, (made(prefix / "bin" / "nvcc"), made(prefix / RECEIPT)))


def _projects(action: Projects, site: Site) -> Done:
    obtained = [obtain_project(one.project, action.ways, site.doors) for one in action.planned]
    return Done(
        "; ".join(f"{one.name}: {one.said}" for one in obtained),
        tuple(made(Path(one.folder)) for one in obtained),
        {f"{PROJECT}{one.name}": one.folder for one in obtained},
    )


def _source(action: Source, site: Site) -> Done:
    doors = site.doors
    path = obtain_source(
        action,
        downloads=doors.home.downloads,
        settings=doors.settings,
        network=doors.network,
        log=site.log,
        on_progress=site.progress,
    )
    published = read_published(action, doors.settings, doors.network, doors.run)
    return Done(str(path), (made(path / "CMakeLists.txt"),), {"published": published})
