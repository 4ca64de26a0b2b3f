"""What CMake would decide: the tree's own files interpreted for one device, nvcc and GPU list."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from vllm_forge.records.release import Configured, ConfiguredTarget, KernelGroup
from vllm_forge.records.sourced import Sourced
from vllm_forge.release.asked_targets import Build, is_asked
from vllm_forge.release.cmake_evaluator import Call, Evaluator, Handler, Stopped
from vllm_forge.release.cmake_project import Project
from vllm_forge.release.cmake_scope import Scope
from vllm_forge.release.cmake_values import split_list, version_components
from vllm_forge.release.cmake_world import BUILD, FETCHED, TREE, World, relative_to_run
from vllm_forge.release.generated_sources import GeneratedTable, read_table
from vllm_forge.release.question import Question
from vllm_forge.release.source_tree import SourceTree
from vllm_forge.release.targets import read_targets

LISTS: Final = "CMakeLists.txt"
OLDEST_NVCC: Final = "11.0"
INTERSECTION: Final = "cuda_archs_loose_intersection"


class ConfigureRun:
    """One run over one tree; afterwards `project` holds what it wrote down.

    `instead` are handlers that take the place of commands or of the tree's own functions.
    """

    def __init__(
        self,
        tree: SourceTree,
        question: Question,
        generators: GeneratedTable | None = None,
        instead: Mapping[str, Handler] | None = None,
    ) -> None:
        self._tree = tree
        self._question = question
        self.groups: list[KernelGroup] = []
        self.stopped: Sourced[str] = Sourced(None, "configure runs to its end")
        self.scope = Scope(environment=question.environment)
        self.scope.frames[0] = initial_variables(question)
        world = World(tree, dict(question.local))
        self.project = Project(world, generators or read_table(), question.processor_flags)
        handlers = {
            **self.project.handlers(),
            "include": self._include,
            "find_package": self._find_package,
            **(instead or {}),
        }
        self.evaluator = Evaluator(self.scope, world, handlers, self._note_group)

    def run(self) -> None:
        """Interpret CMakeLists.txt from its first line."""
        try:
            self.evaluator.run_file(self._tree.blocks(LISTS), LISTS, TREE)
        except Stopped as stopped:
            self.stopped = Sourced(" ".join(stopped.message.split()), stopped.place)

    def _include(self, scope: Scope, call: Call) -> None:
        """Files of the tree are run; CMake's own modules (FetchContent) are known as commands."""
        base = scope.get("CMAKE_CURRENT_SOURCE_DIR") or TREE
        path = posixpath.normpath(posixpath.join(base, call.words[0]))
        inside = path.removeprefix(f"{TREE}/")
        if inside != path and self._tree.text(inside) is not None:
            self.evaluator.run_file(self._tree.blocks(inside), inside, posixpath.dirname(path))

    def _find_package(self, scope: Scope, call: Call) -> None:
        """Python is the oldest one supported; torch brings CUDA and the flags for the GPUs."""
        match call.words[0]:
            case "Python":
                oldest = split_list(scope.get("PYTHON_SUPPORTED_VERSIONS") or "")[:1]
                major, _, minor = (oldest[0] if oldest else "3").partition(".")
                scope.set("Python_VERSION_MAJOR", major)
                scope.set("Python_VERSION_MINOR", minor)
                scope.set("Python_FOUND", "TRUE")
            case "Torch":
                scope.set("Torch_FOUND", "TRUE")
                scope.set("Torch_VERSION", scope.get("TORCH_SUPPORTED_VERSION_CUDA") or "")
                if self._question.device == "cuda" and self._question.nvcc:
                    for name, value in cuda_variables(self._question).items():
                        scope.set(name, value)
            case _:
                return

    def _note_group(self, scope: Scope, call: Call) -> None:
        if call.name == INTERSECTION:
            name, wanted = call.words[0], tuple(filter(None, split_list(call.words[1])))
            chosen = tuple(split_list(scope.get(name) or ""))
            self.groups.append(KernelGroup(name, wanted, chosen, call.place))


def initial_variables(question: Question) -> dict[str, str]:
    """What `cmake -D…` and CMake itself set before the first line is read.

    g++ is newer than any tree asks for: floors are read by `floors.py`, and a run that stops at
    one would say nothing else.
    """
    return {
        "CMAKE_COMMAND": "cmake",
        "CMAKE_SOURCE_DIR": TREE,
        "CMAKE_CURRENT_SOURCE_DIR": TREE,
        "CMAKE_BINARY_DIR": BUILD,
        "CMAKE_CURRENT_BINARY_DIR": BUILD,
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": question.machine,
        "CMAKE_CXX_COMPILER_ID": "GNU",
        "CMAKE_CXX_COMPILER_VERSION": "99",
        "FETCHCONTENT_BASE_DIR": FETCHED,
        "VLLM_PYTHON_EXECUTABLE": "/usr/bin/python3",
        "VLLM_TARGET_DEVICE": question.device,
    }


def cuda_variables(question: Question) -> dict[str, str]:
    """What `find_package(Torch)` sets; torch turns TORCH_CUDA_ARCH_LIST into `-gencode` flags."""
    nvcc = question.nvcc or ""
    return {
        "CUDA_FOUND": "TRUE",
        "CUDA_VERSION": ".".join(nvcc.split(".")[:2]),
        "CUDA_TOOLKIT_ROOT_DIR": "/usr/local/cuda",
        "CMAKE_CUDA_COMPILER_VERSION": nvcc,
        "CMAKE_CUDA_FLAGS": " ".join(gencode_flags(question.architectures)),
    }


def read_nvcc_classes(tree: SourceTree) -> tuple[str, ...]:
    """Versions of nvcc (major.minor) from which on some condition answers otherwise, oldest first.

    Between two of them every answer is the same. The first stands for everything older.
    """
    texts: list[str] = []
    for path in (LISTS, *tree.files("cmake/**/*.cmake")):
        for command in tree.commands(path):
            words = command.words() if command.name in {"if", "elseif"} else ()
            for subject, comparison, version in zip(words, words[1:], words[2:], strict=False):
                if "CUDA" in subject and comparison.startswith("VERSION_"):
                    texts.append(version)
    for target in read_targets(tree):
        texts += re.findall(r"Version\('([\d.]+)'\)", " ".join(target.condition))
    versions = {match[0] for text in texts if (match := re.match(r"\d+\.\d+", text))}
    return (OLDEST_NVCC, *sorted(versions - {OLDEST_NVCC}, key=version_components))


def gencode_flags(architectures: tuple[str, ...]) -> list[str]:
    flags: list[str] = []
    for architecture in architectures:
        number = architecture.removesuffix("+PTX").replace(".", "")
        kinds = ("sm", "compute") if architecture.endswith("+PTX") else ("sm",)
        flags += [f"-gencode arch=compute_{number},code={kind}_{number}" for kind in kinds]
    return flags


def configure(
    tree: SourceTree, question: Question, generators: GeneratedTable | None = None
) -> Configured:
    """Supported architectures, kernel groups and source files of every target."""
    run = ConfigureRun(tree, question, generators)
    run.run()
    return describe(tree, run, question)


def describe(tree: SourceTree, run: ConfigureRun, question: Question) -> Configured:
    """Targets are those CMake defines and those setup.py asks for, in that order."""
    project = run.project
    asked = read_asked(tree, question)
    defined = tuple(describe_target(project, name, asked.get(name)) for name in project.sources)
    supported = split_list(run.scope.get("CUDA_SUPPORTED_ARCHS") or "")
    where = project.places.get("CUDA_SUPPORTED_ARCHS", f"looked in {LISTS}")
    return Configured(
        device=question.device,
        nvcc=question.nvcc,
        requested=question.architectures,
        supported=Sourced(tuple(supported) or None, where),
        architectures=tuple(split_list(run.scope.get("CUDA_ARCHS") or "")),
        stopped=run.stopped,
        warnings=(
            *(f"{text} ({place})" for text, place in project.warnings),
            *(
                f"{call.name}({' '.join(call.words[:1])} …) is not understood ({call.place})"
                for call in run.evaluator.not_understood
            ),
        ),
        groups=tuple(run.groups),
        targets=(
            *defined,
            *(
                elsewhere(name, found)
                for name, found in asked.items()
                if name not in project.sources
            ),
        ),
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """setup.py's answer for one name, and where it stands."""

    answer: bool | None
    source: str


def read_asked(tree: SourceTree, question: Question) -> dict[str, Asked]:
    """Names setup.py asks for or may ask for; a name it gives twice is asked for by either."""
    build = Build(question.device, question.nvcc, question.python, question.machine)
    answers: dict[str, Asked] = {}
    for target in read_targets(tree):
        answer = is_asked(tree, target, build)
        before = answers.get(target.name)
        if answer is not False and not (before and before.answer):
            answers[target.name] = Asked(answer, target.source)
    return answers


def elsewhere(name: str, asked: Asked) -> ConfiguredTarget:
    """FlashAttention's targets are defined by the project CMake fetches."""
    return ConfiguredTarget(
        name=name,
        sources=(),
        codes=(),
        source=asked.source,
        asked=asked.answer,
        incomplete="its files are listed by a project that CMake fetches",
    )


def describe_target(project: Project, name: str, asked: Asked | None) -> ConfiguredTarget:
    paths = list(dict.fromkeys(project.sources[name]))
    reasons = [project.world.why_open(path) for path in paths]
    codes = [code for path in paths for code in project.codes.get(path, ())]
    return ConfiguredTarget(
        name=name,
        sources=tuple(relative_to_run(path) for path in paths if "*" not in path),
        codes=tuple(dict.fromkeys(codes)),
        source=project.target_places.get(name, LISTS),
        asked=asked.answer if asked else False,
        incomplete=next((reason for reason in reasons if reason), None),
    )
