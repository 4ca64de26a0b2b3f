"""A folder that the user gives for a project: looked at, never touched."""

from pathlib import Path

from vllm_forge.records.doors import RunCommand
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.project import ObtainedProject, Origin
from vllm_forge.records.release import FetchedProject
from vllm_forge.run.projects.cutlass import is_tag, read_cutlass_version


def look_at_folder(
    project: FetchedProject, folder: Path, origin: Origin, named_by: str, run: RunCommand
) -> ObtainedProject:
    """What the folder holds, compared with the pin by commit, tag, or CUTLASS's version.h.

    Raises:
        Problem: exit 5 when there is no such folder, or nothing in it.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        state = "is empty" if folder.is_dir() else "is no folder"
        raise Problem(
            f"{folder} ({named_by}, for {project.name}) {state}",
            exit_code=ExitCode.BAD_INPUT,
        )
    revision, exact = _compare(project, folder, run)
    if exact:
        difference = None
    elif revision is None:
        difference = f"{folder} does not say its revision; {project.revision} is pinned"
    else:
        difference = f"{folder} is at {revision}, {project.revision} is pinned ({project.source})"
    return ObtainedProject(
        name=project.name,
        folder=str(folder),
        origin=origin,
        said=f"{folder}, by {named_by}",
        revision=revision,
        exact=exact,
        difference=difference,
    )


def _compare(project: FetchedProject, folder: Path, run: RunCommand) -> tuple[str | None, bool]:
    """(revision, whether it is the pinned one); a changed work tree is not."""
    # Only a repository of its own: git would otherwise answer for the one around it.
    if not (folder / ".git").exists():
        version = read_cutlass_version(folder) if project.name == "cutlass" else None
        pinned_version = project.revision.removeprefix("v")
        if version is None or version != pinned_version:
            return version, False
        if is_tag(folder, version) is False:
            return f"{version}, with headers that differ from the tag's", False
        return version, True
    head = _ask(["rev-parse", "HEAD"], folder, run)
    pinned = _ask(["rev-parse", "--verify", f"{project.revision}^{{commit}}"], folder, run)
    changed = _ask(["status", "--porcelain", "--untracked-files=no"], folder, run)
    if head is None:
        return None, False
    if changed:
        return f"{head[:12]} with changes", False
    return head, head in {pinned, project.revision}


def _ask(words: list[str], folder: Path, run: RunCommand) -> str | None:
    said = run(["git", "-C", folder, *words], timeout=60.0)
    return said.stdout.strip() if said.code == 0 else None
