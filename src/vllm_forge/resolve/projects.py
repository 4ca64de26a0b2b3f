"""Where the sources of each project that CMake would fetch come from."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.plan import PlannedTarget
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.project import Origin, PlannedProject, Ways
from vllm_forge.records.release import Configured, FetchedProject
from vllm_forge.records.resolution import PlannedProjects
from vllm_forge.records.wishes import Device
from vllm_forge.resolve.carried import CARRIED, carried_version, cutlass_parts
from vllm_forge.resolve.given import Given
from vllm_forge.resolve.reuse import name_all
from vllm_forge.resolve.stubs import choose_stubs, readers_of

SUBJECT: Final = "projects"

COMMIT: Final = re.compile(r"[0-9a-f]{40}")
KEPT_NAME: Final = 12
"""Digits of a commit in a folder's name."""


def choose_projects(
    given: Given,
    configured: Configured,
    targets: Sequence[PlannedTarget],
    unfit: Sequence[Refused] = (),
) -> Decision[PlannedProjects]:
    """Each project's way: the user's folder, a stub, the package index, git; refused without one.

    `configured` is what CMake would do, `targets` those planned: a project that none of those to
    compile reads is stubbed. `unfit` says why targets are not taken out of the release's wheel.
    """
    projects = cuda_projects(given)
    wanted = frozenset(
        target.name for target in targets if target.build and target.origin != "reuse"
    )
    ways = _ways(given, configured, wanted)
    planned: list[PlannedProject] = []
    missing: list[Reason] = []
    for project in projects:
        way = _way(project, ways, given)
        if way is None:
            fact = (
                f"{project.name} at {_short(project)} is needed, no package of the index carries "
                f"it, and {_why_no_git(given)}"
            )
            missing.append(Reason(fact, project.source))
        else:
            planned.append(PlannedProject(project, *way))
    if missing:
        names = [reason.fact.split(" ", maxsplit=1)[0] for reason in missing]
        readers = ",".join(find_unobtainable(given, configured, targets))
        return Refused(
            SUBJECT,
            (*missing, *name_all(unfit)),
            (
                " ".join(f"--project {name}=DIR" for name in names) + " (a folder with it)",
                "--git-mirror URL (where a mirror has it)",
                f"--strategy auto --reuse {readers} (out of the release's wheel)",
            ),
        )
    because = tuple(
        Reason(f"{one.project.name}: {one.because}", one.project.source) for one in planned
    )
    nothing = (Reason("this tree fetches no project for CUDA", "CMakeLists.txt"),)
    return Chosen(SUBJECT, PlannedProjects(tuple(planned), ways), because or nothing)


def cuda_projects(given: Given) -> tuple[FetchedProject, ...]:
    """Every project that CMake would fetch for a CUDA build."""
    return tuple(each for each in given.facts.release.projects if Device.CUDA in each.devices)


def find_unobtainable(
    given: Given, configured: Configured, targets: Sequence[PlannedTarget]
) -> dict[str, FetchedProject]:
    """Built target → a project that it reads and that cannot be had."""
    built = frozenset(target.name for target in targets if target.build)
    ways = _ways(given, configured, built)
    return {
        name: project
        for project in cuda_projects(given)
        if _way(project, ways, given) is None
        for name in sorted(readers_of(project, configured) & built)
    }


def own_folder(project: FetchedProject, given: Given) -> bool:
    """Whether the user put a folder of theirs in its place."""
    folders = parse_folders(given.wishes.project, cuda_projects(given))
    return project.name in folders or bool(
        project.override and given.variables.get(project.override)
    )


def _ways(given: Given, configured: Configured, wanted: frozenset[str]) -> Ways:
    projects = cuda_projects(given)
    return Ways(
        folders=parse_folders(given.wishes.project, projects),
        git_mirror=given.wishes.git_mirror,
        stubs=choose_stubs(configured, projects, wanted),
        cutlass_parts=cutlass_parts(configured),
    )


def parse_folders(wishes: Sequence[str], projects: Sequence[FetchedProject]) -> Mapping[str, str]:
    """NAME=DIR of the command line, by the project's own name.

    Raises:
        Problem: exit 2 for another form, or a name that this tree does not fetch.
    """
    names = {project.name.lower(): project.name for project in projects}
    folders: dict[str, str] = {}
    for wish in wishes:
        name, sign, folder = wish.partition("=")
        if not sign or not folder:
            raise Problem(f"--project {wish}: it has to be NAME=DIR", exit_code=ExitCode.USAGE)
        if name.lower() not in names:
            raise Problem(
                f"--project {name}: this tree fetches no such project",
                hints=(f"one of: {', '.join(names.values()) or 'none'}",),
                exit_code=ExitCode.USAGE,
            )
        folders[names[name.lower()]] = folder
    return folders


def name_of_sources(project: FetchedProject) -> str:
    """The folder's name below sources/ for a project fetched by git: its name and revision."""
    mark = re.sub(r"[^\w.-]", "-", project.revision[:40])
    return f"{project.name}-{mark[:KEPT_NAME] if COMMIT.fullmatch(mark) else mark}"


def _way(project: FetchedProject, ways: Ways, given: Given) -> tuple[Origin, str] | None:
    wishes = given.wishes
    carried = carried_version(project, ways.cutlass_parts)
    if project.name in ways.folders:
        return "folder", f"--project {project.name}={ways.folders[project.name]}"
    if project.override and given.variables.get(project.override):
        return "variable", f"{project.override}={given.variables[project.override]}"
    if project.name in ways.stubs:
        return "stub", "no built target reads it"
    if (
        carried
        and not wishes.git_mirror
        and (not wishes.offline or f"cutlass-{carried}" in given.kept)
    ):
        carriers = " and ".join(str(one) for one in CARRIED[carried])
        return "index", f"CUTLASS {carried} is carried by the sdists of {carriers}"
    if name_of_sources(project) in given.kept:
        return "git", f"{_short(project)} was fetched before"
    if wishes.git_mirror and not wishes.offline:
        return "git", f"{project.url} at {_short(project)}, from {wishes.git_mirror}"
    if wishes.offline or given.machine.reachable.code_host is False:
        return None
    return "git", f"{project.url} at {_short(project)}"


def _why_no_git(given: Given) -> str:
    return "--offline was given" if given.wishes.offline else "its code host does not answer"


def _short(project: FetchedProject) -> str:
    return project.revision[:KEPT_NAME] if COMMIT.fullmatch(project.revision) else project.revision
