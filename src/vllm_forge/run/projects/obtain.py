"""One fetched project's sources, by the first way that has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from vllm_forge.records.event import Note
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.project import ObtainedProject, Ways
from vllm_forge.records.release import FetchedProject
from vllm_forge.resolve.carried import carried_version
from vllm_forge.run.doors import Doors
from vllm_forge.run.projects.folder import look_at_folder
from vllm_forge.run.projects.git import fetch_commit
from vllm_forge.run.projects.index import unpack_carried
from vllm_forge.run.projects.stub import write_stub


def obtain_project(project: FetchedProject, ways: Ways, doors: Doors) -> ObtainedProject:
    """The user's folder, its override variable, a stub where not needed, the index, then git.

    What was fetched before is used again. A folder that differs from the pin is used, and the
    difference told: it is the user's word.

    Raises:
        Problem: exit 5 for a folder that holds no such project, exit 4 when no way has it.
    """
    obtained = _obtain(project, ways, doors)
    if obtained.difference is not None:
        doors.emit(Note(monotonic(), f"{project.name}: {obtained.difference}"))
    return obtained


@dataclass(frozen=True, slots=True)
class Overrides:
    """What makes CMake take the folders: environment variables, and -D values."""

    variables: dict[str, str]
    definitions: dict[str, str]


def overrides_of(folders: Mapping[str, str], projects: Sequence[FetchedProject]) -> Overrides:
    """The tree's own override variable where it has one, else FetchContent's; `folders` by name.

    FetchContent's alone would not do: DeepGEMM is populated by a call that does not look at it
    (cmake/external_projects/deepgemm.cmake, 0.20 and later).
    """
    variables = {}
    definitions = {}
    for project in projects:
        if project.name not in folders:
            continue
        if project.override is not None:
            variables[project.override] = folders[project.name]
        else:
            definitions[f"FETCHCONTENT_SOURCE_DIR_{project.name.upper()}"] = folders[project.name]
    return Overrides(variables, definitions)


def _obtain(project: FetchedProject, ways: Ways, doors: Doors) -> ObtainedProject:
    named = {name.lower(): folder for name, folder in ways.folders.items()}
    if project.name.lower() in named:
        folder = Path(named[project.name.lower()]).expanduser().absolute()
        return look_at_folder(project, folder, "folder", "--project", doors.run)
    if project.override and doors.environ.get(project.override):
        folder = Path(doors.environ[project.override]).expanduser().absolute()
        return look_at_folder(project, folder, "variable", project.override, doors.run)
    if project.name in ways.stubs:
        return write_stub(project, ways.stubs[project.name], doors)
    version = carried_version(project, ways.cutlass_parts)
    if version is not None and ways.git_mirror is None:
        try:
            return unpack_carried(project, version, doors)
        except Problem as problem:
            if problem.exit_code is not ExitCode.UNREACHABLE:
                raise
    return fetch_commit(project, ways.git_mirror, doors)
