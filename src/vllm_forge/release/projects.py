"""The projects CMake fetches, seen by interpreting the tree's own FetchContent calls.

Two runs for each device: one as it is, one with every override variable set to a folder of its
own, which shows whose place each folder takes.
"""

import re
from dataclasses import replace
from typing import Final

from vllm_forge.records.release import EnvironmentVariable, FetchedProject
from vllm_forge.release.cmake_evaluator import Call, Handler
from vllm_forge.release.cmake_project import Declaration
from vllm_forge.release.cmake_scope import Scope
from vllm_forge.release.cmake_world import OVERRIDES
from vllm_forge.release.configuration import INTERSECTION, ConfigureRun
from vllm_forge.release.question import Question
from vllm_forge.release.source_tree import SourceTree

QUESTIONS: Final = (
    Question(device="cuda", nvcc="13.0", architectures=("9.0",)),
    Question(device="cpu", processor_flags=("avx2", "avx512f", "avx512_bf16", "avx512_vnni")),
)
"""oneDNN is left out without AVX-512 up to 0.16; no project of CUDA depends on the GPU."""


def keep_all(scope: Scope, call: Call) -> None:
    """Instead of `cuda_archs_loose_intersection(OUT wanted requested)`: all that is wanted.

    Which kernels are compiled is not asked here, and working that out is most of a run.
    """
    scope.set(call.words[0], call.words[1])


INSTEAD: Final[dict[str, Handler]] = {
    INTERSECTION: keep_all,
    "set_gencode_flags_for_srcs": lambda _scope, _call: None,
}


def read_projects(
    tree: SourceTree, environment: tuple[EnvironmentVariable, ...]
) -> tuple[FetchedProject, ...]:
    """In the order they are fetched, those of CUDA first."""
    folders = {
        variable.name: f"{OVERRIDES}/{variable.name}"
        for variable in environment
        if re.search(r"_SRC_DIR$|^FETCHCONTENT_SOURCE_DIR_|_ROOT_DIR$", variable.name)
    }
    found: dict[str, FetchedProject] = {}
    for question in QUESTIONS:
        plain = run_whole(tree, question)
        replaced = plain
        if folders.keys() & plain.scope.asked.keys():
            changed = replace(question, environment=folders)
            replaced = run_whole(tree, changed)
        for name, declaration in plain.project.fetched.items():
            place = replaced.scope.get(f"{name}_SOURCE_DIR") or ""
            override = next((v for v, folder in folders.items() if place.startswith(folder)), None)
            project = describe_project(declaration, override, question.device)
            before = found.get(name)
            found[name] = (
                replace(before, devices=(*before.devices, question.device)) if before else project
            )
    return tuple(found.values())


def run_whole(tree: SourceTree, question: Question) -> ConfigureRun:
    """To the last line: where CMake stops over the lists as they stand in, over the real ones."""
    run = ConfigureRun(tree, question, instead=INSTEAD)
    run.run()
    if run.stopped.value is not None:
        run = ConfigureRun(tree, question)
        run.run()
    return run


def describe_project(declaration: Declaration, override: str | None, device: str) -> FetchedProject:
    options = declaration.options
    submodules = options.get("GIT_SUBMODULES")
    return FetchedProject(
        name=declaration.name,
        url="".join(options.get("GIT_REPOSITORY") or options.get("URL") or []),
        revision="".join(options.get("GIT_TAG") or options.get("URL_HASH") or []),
        override=override,
        submodules=None if submodules is None else tuple(filter(None, submodules)),
        devices=(device,),
        source=declaration.place,
    )
