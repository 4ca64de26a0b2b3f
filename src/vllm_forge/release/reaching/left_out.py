"""Files of a configuration that a checkpoint cannot reach, each with the reason and its place."""

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from vllm_forge.records.release import ConfiguredTarget
from vllm_forge.records.specialization import LeftOut, MadeFor, Reach, RefusedOperator
from vllm_forge.release.configuration import ConfigureRun, describe
from vllm_forge.release.question import Question
from vllm_forge.release.reaching.cxx_functions import Registration
from vllm_forge.release.reaching.cxx_walk import Sources, bare_name, read_needed
from vllm_forge.release.reaching.python_reach import ModelClass, read_model, walk_package
from vllm_forge.release.reaching.python_walk import Key
from vllm_forge.release.reaching.weight_types import WeightTypes, read_weight_types
from vllm_forge.release.source_tree import SourceTree

DEVICE_CODE: Final = ".cu"
"""Only these cost enough to be left out; a C++ file costs a minute at most and is kept."""

OPERATORS_OF: Final = re.compile(r"_\w*C(?:_\w+)?")
"""Namespaces of compiled operators: `_C`, `_moe_C`, `_C_cache_ops`."""

PASSED: Final = re.compile(r"-D(\w+)(?:=(\w+))?")
SWITCHES: Final = "ENABLE_"
MOST_LISTED: Final = 3
WRAPPERS: Final = "vllm/_custom_ops.py"


def read_unreached(tree: SourceTree, question: Question, made_for: MadeFor) -> Reach:
    """What the configuration compiles and `made_for` does not reach."""
    models: list[ModelClass] = []
    for architecture in made_for.architectures:
        model = read_model(tree, architecture)
        if model.value is None:
            return Reach(unknown=f"no model of this tree is {architecture}", source=model.source)
        models.append(model.value)
    numbers = tuple(_number(capability) for capability in made_for.capabilities)
    walk = walk_package(
        tree,
        tuple(models),
        device=question.device,
        capabilities=numbers,
        method=made_for.method,
    )
    run = ConfigureRun(tree, question)
    run.run()
    used = frozenset(key for key in walk.used if OPERATORS_OF.fullmatch(key.space))
    world = run.project.world
    sources = Sources(tree, read_macros(tree, run), numbers, world.written())
    types = read_weight_types(tree, walk)
    found = [
        judge_target(sources, target, used, types, world.written_unseen)
        for target in describe(tree, run, question).targets
        if target.asked is not False
    ]
    return Reach(
        left_out=tuple(one for left_out, _ in found for one in left_out),
        operators=tuple(one for _, operators in found for one in operators),
    )


def read_macros(tree: SourceTree, run: ConfigureRun) -> dict[str, bool]:
    """Macros that CMake passes with this configuration, and its switches that it does not pass."""
    said = " ".join(value for frame in run.scope.frames for value in frame.values())
    macros = {name: value != "0" for name, value in PASSED.findall(said)}
    for path in ("CMakeLists.txt", *tree.files("cmake/**/*.cmake")):
        for name, _ in PASSED.findall(tree.text(path) or ""):
            if name.startswith(SWITCHES):
                macros.setdefault(name, False)
    return macros


def judge_target(
    sources: Sources,
    target: ConfiguredTarget,
    used: frozenset[Key],
    types: WeightTypes | None = None,
    unseen: Callable[[str], bool] = lambda _path: False,
) -> tuple[tuple[LeftOut, ...], tuple[RefusedOperator, ...]]:
    """Files that cannot be read (generated, another project's) go with those beside them.

    Where a script writes nobody knows what (`unseen`), every file stays.
    """
    known = [path for path in target.sources if sources.file(path) is not None]
    kept = [path for path in known if unseen(path) or not _can_go(sources, path)]
    needed = read_needed(sources, known, kept, used)
    gone = [path for path in known if path not in needed]
    unread = [path for path in target.sources if path not in known and path.endswith(DEVICE_CODE)]
    generated = [path for path in unread if _goes_too(path, gone, needed)]
    asked = _operators_of_files(sources, known, gone) if gone else {}
    names = frozenset(name for each in asked.values() for name in each)
    reasons = Reasons(sources.tree, names)
    groups: dict[tuple[str, str], list[str]] = {}
    for path in gone:
        groups.setdefault(reasons.of(asked.get(path, ())), []).append(path)
    for path in generated:
        beside = next(one for one in gone if _beside(path) == posixpath.dirname(one))
        groups.setdefault(
            (f"written for {posixpath.basename(beside)}, which is left out", beside), []
        ).append(path)
    for path in unread:
        if types is not None and path not in generated and (why := _other_type(path, types)):
            groups.setdefault(why, []).append(path)
    left_out = tuple(
        LeftOut(target.name, tuple(files), because, source)
        for (because, source), files in groups.items()
    )
    operators = tuple(
        RefusedOperator(target.name, one.library, one.name, path)
        for path in gone
        for one in _registrations(sources, path)
    )
    return left_out, operators


def _other_type(path: str, types: WeightTypes) -> tuple[str, str] | None:
    """Why a kernel's weight type is not reached, and where those are passed that are."""
    name = types.of_file(path)
    if name is None or name in types.passed:
        return None
    passed, where = ", ".join(types.passed), next(iter(types.passed.values()))
    return f"written for other weight types than are passed ({passed})", where


def _can_go(sources: Sources, path: str) -> bool:
    """Device code that brings no schema: Python asks whether a schema is there."""
    return path.endswith(DEVICE_CODE) and not any(
        one.defines for one in _registrations(sources, path)
    )


def _registrations(sources: Sources, path: str) -> tuple[Registration, ...]:
    file = sources.file(path)
    return tuple(file.registrations) if file else ()


def _beside(path: str) -> str:
    """The folder whose sources a generated file belongs to."""
    folder = posixpath.dirname(path)
    return posixpath.dirname(folder) if posixpath.basename(folder) == "generated" else folder


def _goes_too(path: str, gone: Iterable[str], needed: Iterable[str]) -> bool:
    """Whether of the sources beside a generated file all are left out."""
    folder = _beside(path)
    return any(posixpath.dirname(one) == folder for one in gone) and not any(
        posixpath.dirname(one) == folder for one in needed
    )


def _operators_of_files(
    sources: Sources, known: list[str], gone: list[str]
) -> Mapping[str, tuple[str, ...]]:
    """File → the operators that would lead to it."""
    found: dict[str, list[str]] = {}
    names = {bare_name(one.name) for path in known for one in _registrations(sources, path)}
    for name in sorted(names):
        for path in read_needed(sources, known, (), frozenset({("", name)})):
            if path in gone:
                found.setdefault(path, []).append(name)
    return {path: tuple(operators) for path, operators in found.items()}


@dataclass(slots=True)
class Reasons:
    """Why operators are not reached: where Python uses them, none of which is."""

    tree: SourceTree
    operators: frozenset[str]
    _places: dict[str, str] | None = None

    def of(self, operators: tuple[str, ...]) -> tuple[str, str]:
        """The reason and the place it was read at."""
        if not operators:
            return "no operator leads to it on this GPU", "csrc"
        places = self.places()
        used = [name for name in operators if name in places]
        if not used:
            return f"no Python of this tree calls {_listed(operators)}", WRAPPERS
        where = places[used[0]]
        file = where.partition(":")[0]
        return f"{file} is not reached, nor what else calls its operators", where

    def places(self) -> dict[str, str]:
        """Operator → the first place beside its wrapper that names it."""
        if self._places is None:
            self._places = {}
            pattern = re.compile(rf"\b({'|'.join(sorted(map(re.escape, self.operators)))})\b")
            for path in self.tree.files("vllm/**/*.py"):
                if path == WRAPPERS:
                    continue
                for number, line in enumerate((self.tree.text(path) or "").splitlines(), start=1):
                    for name in pattern.findall(line):
                        self._places.setdefault(name, f"{path}:{number}")
        return self._places


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - MOST_LISTED
    return ", ".join(names[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def _number(capability: str) -> int:
    major, _, minor = capability.rstrip("af").partition(".")
    return int(major) * 10 + int(minor or 0)
