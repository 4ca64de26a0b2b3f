"""A folder in the place of a project that no built target needs.

CMake makes every declared project available while it configures, wanted or not (0.8 to 0.33). The
stub lets it: it defines the targets that the project itself would, as custom targets, and holds
the files that vLLM's CMake names, each of which stops the compiler. A stub can so never become a
part of what is built unnoticed.
"""

import hashlib
from pathlib import Path, PurePosixPath

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.project import ObtainedProject, Stub
from vllm_forge.records.release import FetchedProject
from vllm_forge.run.doors import Doors
from vllm_forge.run.files import made_atomically
from vllm_forge.run.lock import locked


def write_stub(project: FetchedProject, stub: Stub, doors: Doors) -> ObtainedProject:
    """Make sources/NAME-stub-MARK; one stub for one content.

    Raises:
        Problem: exit 5 for a source outside the project.
    """
    mark = hashlib.sha256(repr((project.name, stub)).encode()).hexdigest()[:8]
    folder = doors.home.source(f"{project.name}-stub-{mark}")
    with locked(doors.home.lock(folder.name), on_wait=lambda _message: None):
        if not folder.is_dir():
            with made_atomically(folder) as half:
                _write(project, stub, half)
    return ObtainedProject(
        name=project.name,
        folder=str(folder),
        origin="stub",
        said="no built target reads it",
        revision=None,
        exact=False,
    )


def render_stub(name: str, stub: Stub) -> str:
    """The stub's CMakeLists.txt.

    >>> print(render_stub("p", Stub(("_a_C",))).splitlines()[-1])
    add_custom_target(_a_C COMMAND ${CMAKE_COMMAND} -E false COMMENT "_a_C: p is a stub")
    """
    lines = [
        "# vllm-forge: no built target reads this project.",
        "cmake_minimum_required(VERSION 3.26)",
    ]
    lines += [
        f"add_custom_target({target} COMMAND ${{CMAKE_COMMAND}} -E false "
        f'COMMENT "{target}: {name} is a stub")'
        for target in stub.targets
    ]
    return "\n".join(lines) + "\n"


def _write(project: FetchedProject, stub: Stub, half: Path) -> None:
    (half / "CMakeLists.txt").write_text(render_stub(project.name, stub))
    for source in stub.sources:
        place = PurePosixPath(source)
        if place.is_absolute() or ".." in place.parts:
            raise Problem(
                f"{project.name} names a file outside itself: {source}",
                exit_code=ExitCode.BAD_INPUT,
            )
        file = half / place
        file.parent.mkdir(parents=True, exist_ok=True)
        said = f"{project.name} was left out of this build"
        python = f'raise ImportError("{said}")\n'
        file.write_text(python if place.suffix == ".py" else f'#error "{said}"\n')
