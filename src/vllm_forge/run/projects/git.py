"""A project by git, at the pinned commit: that one commit, and the submodules a build reads."""

import configparser
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.project import ObtainedProject
from vllm_forge.records.release import FetchedProject
from vllm_forge.resolve.projects import COMMIT, name_of_sources
from vllm_forge.run.doors import Doors
from vllm_forge.run.files import made_atomically
from vllm_forge.run.lock import locked
from vllm_forge.run.process import work

ROCM_ONLY: Final = frozenset({"composable_kernel", "aiter"})
"""Last names of submodules that only ROCm builds read; composable_kernel alone is 100 MB."""


def fetch_commit(project: FetchedProject, mirror: str | None, doors: Doors) -> ObtainedProject:
    """Make sources/NAME-REVISION; git's own configuration (url.*.insteadOf, proxies) applies.

    Raises:
        Problem: exit 4 with git's own words, and the other ways to have the project.
    """
    folder = doors.home.source(name_of_sources(project))
    log = doors.home.logs("projects") / f"{project.name}.log"
    with locked(doors.home.lock(folder.name), on_wait=lambda _message: None):
        if not folder.is_dir():
            if doors.offline:
                raise _unreachable(project, ("--offline: git was not asked",))
            with made_atomically(folder) as half:
                _clone(project, mirror, half, log)
    said = doors.run(["git", "-C", folder, "rev-parse", "HEAD"])
    head = said.stdout.strip() or None
    exact = not COMMIT.fullmatch(project.revision) or head == project.revision
    return ObtainedProject(
        name=project.name,
        folder=str(folder),
        origin="git",
        said=f"{project.url} at {project.revision}" + (f", from {mirror}" if mirror else ""),
        revision=head,
        exact=exact,
        difference=None if exact else f"{folder} is at {head}, {project.revision} is pinned",
    )


def mirror_options(url: str, mirror: str | None) -> tuple[str, ...]:
    """Git options that put `mirror` in the place of the scheme and host of `url`.

    >>> mirror_options("https://host/a/b.git", "https://mirror.corp/git/")[1]
    'url.https://mirror.corp/git/.insteadOf=https://host/'
    """
    match = re.match(r"\w+://[^/]+/", url)
    if mirror is None or match is None:
        return ()
    options = ("-c", f"url.{mirror.rstrip('/')}/.insteadOf={match[0]}")
    # git follows a submodule to a folder of this machine only when told to (CVE-2022-39253).
    local = mirror.startswith(("/", "file://"))
    return (*options, "-c", "protocol.file.allow=always") if local else options


def needed_submodules(gitmodules: str, stated: tuple[str, ...] | None) -> tuple[str, ...]:
    r"""Paths of the submodules to fetch: those stated, else all but ROCm's.

    >>> text = '[submodule "a"]\n\tpath = csrc/cutlass\n'
    >>> needed_submodules(text + '[submodule "b"]\n\tpath = csrc/composable_kernel', None)
    ('csrc/cutlass',)
    """
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string(re.sub(r"^\s+", "", gitmodules, flags=re.MULTILINE))
    paths = [
        parser.get(section, "path")
        for section in parser.sections()
        if parser.has_option(section, "path")
    ]
    if stated is not None:
        return tuple(path for path in paths if path in stated)
    return tuple(path for path in paths if path.rpartition("/")[2] not in ROCM_ONLY)


def _clone(project: FetchedProject, mirror: str | None, half: Path, log: Path) -> None:
    git = ("git", *mirror_options(project.url, mirror))
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    quiet = ("-c", "advice.detachedHead=false", "-c", "init.defaultBranch=main")
    commands = [
        (*git, *quiet, "init", "--quiet", str(half)),
        (*git, "-C", str(half), "fetch", "--depth=1", project.url, project.revision),
        (*git, *quiet, "-C", str(half), "checkout", "--quiet", "FETCH_HEAD"),
    ]
    for command in commands:
        _must(command, project, log)
    modules = half / ".gitmodules"
    if modules.is_file():
        paths = needed_submodules(modules.read_text(errors="replace"), project.submodules)
        if paths:
            update = ("submodule", "update", "--init", "--depth=1", "--", *paths)
            # A relative URL of a submodule is relative to origin's.
            _must((*git, "-C", str(half), "remote", "add", "origin", project.url), project, log)
            _must((*git, "-C", str(half), *update), project, log)


def _must(command: tuple[str, ...], project: FetchedProject, log: Path) -> None:
    environment: Mapping[str, str] = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8"}
    if work(command, log=log, env=environment).code != 0:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        fatal = [line for line in lines if re.match(r"(fatal|error):", line)]
        raise _unreachable(project, (*(fatal or lines)[-2:], f"log: {log}"))


def _unreachable(project: FetchedProject, causes: tuple[str, ...]) -> Problem:
    return Problem(
        f"{project.name} at {project.revision} could not be had by git",
        causes=causes,
        hints=(
            f"--project {project.name}=DIR with a copy of it",
            "--git-mirror URL, or git config url.MIRROR.insteadOf, where a mirror has it",
        ),
        exit_code=ExitCode.UNREACHABLE,
    )
