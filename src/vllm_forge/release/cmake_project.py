"""The commands of CMake that make something: they write down what a real run would do."""

import posixpath
import re
from dataclasses import dataclass, field
from typing import Final

from vllm_forge.release.cmake_evaluator import Call, Handler, Stopped
from vllm_forge.release.cmake_language import LANGUAGE, run_set
from vllm_forge.release.cmake_scope import Scope
from vllm_forge.release.cmake_values import join_list, split_list
from vllm_forge.release.cmake_world import FETCHED, TREE, World
from vllm_forge.release.generated_sources import (
    GeneratedTable,
    choose_generated,
    read_leftovers,
)

PROCESS_WORDS: Final = frozenset(
    {
        *("COMMAND", "WORKING_DIRECTORY", "TIMEOUT", "OUTPUT_FILE", "ERROR_FILE"),
        *("RESULT_VARIABLE", "RESULTS_VARIABLE", "OUTPUT_VARIABLE", "ERROR_VARIABLE"),
        *("OUTPUT_QUIET", "ERROR_QUIET", "COMMAND_ERROR_IS_FATAL"),
        *("OUTPUT_STRIP_TRAILING_WHITESPACE", "ERROR_STRIP_TRAILING_WHITESPACE"),
    }
)
PROPERTY_WORDS: Final = frozenset({"SOURCE", "APPEND", "PROPERTY", "COMPILE_OPTIONS"})
FETCH_WORDS: Final = frozenset(
    {
        *("GIT_REPOSITORY", "GIT_TAG", "GIT_SUBMODULES", "GIT_SUBMODULES_RECURSE"),
        *("GIT_SHALLOW", "GIT_PROGRESS", "URL", "URL_HASH"),
        *("SOURCE_DIR", "SOURCE_SUBDIR", "BINARY_DIR", "SUBBUILD_DIR"),
        *("CONFIGURE_COMMAND", "BUILD_COMMAND", "INSTALL_COMMAND", "TEST_COMMAND"),
        *("PATCH_COMMAND", "EXCLUDE_FROM_ALL", "SYSTEM", "QUIET"),
    }
)
GLOB_WORDS: Final = frozenset({"CONFIGURE_DEPENDS", "LIST_DIRECTORIES", "RELATIVE"})


@dataclass(slots=True)
class Declaration:
    """One FetchContent project; `options` maps each keyword to its words."""

    name: str
    options: dict[str, list[str]]
    place: str


@dataclass(slots=True)
class Project:
    """Everything a run writes down. `places` is where each variable was set last."""

    world: World
    generators: GeneratedTable
    processor_flags: tuple[str, ...] = ()
    places: dict[str, str] = field(default_factory=dict)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    sources: dict[str, list[str]] = field(default_factory=dict)
    target_places: dict[str, str] = field(default_factory=dict)
    codes: dict[str, list[str]] = field(default_factory=dict)
    declared: dict[str, Declaration] = field(default_factory=dict)
    fetched: dict[str, Declaration] = field(default_factory=dict)

    def handlers(self) -> dict[str, Handler]:
        """The language's commands and this project's, by name."""
        return {
            **LANGUAGE,
            "set": self.run_set,
            "message": self.run_message,
            "file": self.run_file,
            "execute_process": self.run_execute_process,
            "set_property": self.run_set_property,
            "find_program": run_find,
            "find_library": run_find,
            "check_cxx_compiler_flag": run_check_flag,
            "add_custom_target": self.run_add_target,
            "add_library": self.run_add_target,
            "python_add_library": self.run_add_target,
            "target_sources": self.run_target_sources,
            "fetchcontent_declare": self.run_declare,
            "fetchcontent_makeavailable": self.run_make_available,
            "fetchcontent_populate": self.run_populate,
        }

    def run_set(self, scope: Scope, call: Call) -> None:
        if call.words:
            self.places[call.words[0]] = call.place
        run_set(scope, call)

    def run_message(self, _scope: Scope, call: Call) -> None:
        kind, text = call.words[0], "".join(call.words[1:])
        if kind in {"FATAL_ERROR", "SEND_ERROR"}:
            raise Stopped(text, call.place)
        if kind in {"WARNING", "AUTHOR_WARNING"}:
            self.warnings.append((text, call.place))

    def run_file(self, scope: Scope, call: Call) -> None:
        match call.words:
            case ["GLOB", name, *patterns]:
                base = scope.get("CMAKE_CURRENT_SOURCE_DIR") or TREE
                paths = [
                    path
                    for pattern in patterns
                    if pattern not in GLOB_WORDS
                    for path in self.world.glob(base, pattern)
                ]
                scope.set(name, join_list(paths))
            case ["READ", path, name, *_]:
                scope.set(name, self.world.read(path))
            case ["MD5" | "SHA1" | "SHA256", path, name]:
                scope.set(name, self.world.sha256(path))
            case ["REAL_PATH", path, name, *_]:
                scope.set(name, path)
            case _:
                return

    def run_execute_process(self, scope: Scope, call: Call) -> None:
        """Every process succeeds and says nothing, except `cat /proc/cpuinfo`."""
        options = split_options(call.words, PROCESS_WORDS)
        command = options.get("COMMAND", [])
        said = " ".join(self.processor_flags) if command[-1:] == ["/proc/cpuinfo"] else ""
        for keyword, value in (("OUTPUT_VARIABLE", said), ("RESULT_VARIABLE", "0")):
            for name in options.get(keyword, [])[:1]:
                scope.set(name, value)
        scripts = [word for word in command if word.endswith(".py") and word.startswith(TREE)]
        for script in scripts[:1]:
            arguments = tuple(command[command.index(script) + 1 :])
            directory = arguments[1] if len(arguments) > 1 else posixpath.dirname(script)
            digest = self.world.sha256(script)
            files = choose_generated(self.generators, digest, arguments[:1])
            self.world.generate(directory, files, script)
            self.world.clear(directory, read_leftovers(self.generators, digest))

    def run_set_property(self, _scope: Scope, call: Call) -> None:
        """`set_property(SOURCE files… COMPILE_OPTIONS …-gencode arch=…,code=…)`."""
        options = split_options(call.words, PROPERTY_WORDS)
        flags = " ".join(options.get("COMPILE_OPTIONS", []))
        for code in re.findall(r"code=(\w+)", flags):
            for source in options.get("SOURCE", []):
                self.codes.setdefault(self.absolute(source), []).append(code)

    def run_add_target(self, _scope: Scope, call: Call) -> None:
        name, *words = call.words
        custom = call.name == "add_custom_target"
        self.world.add_target(name)
        self.target_places.setdefault(name, call.place)
        self.sources.setdefault(name, []).extend([] if custom else self.files_among(words))

    def run_target_sources(self, _scope: Scope, call: Call) -> None:
        name, *words = call.words
        self.sources.setdefault(name, []).extend(self.files_among(words))

    def files_among(self, words: list[str]) -> list[str]:
        """Source files of a library; `USE_SABI 3.8` and the other keywords left out."""
        parts = [part for word in words for part in split_list(word)]
        return [self.absolute(part) for part in parts if "." in part and not part[0].isdigit()]

    def absolute(self, path: str) -> str:
        return posixpath.normpath(posixpath.join(TREE, path))

    def run_declare(self, _scope: Scope, call: Call) -> None:
        name = call.words[0]
        self.declared[name.lower()] = Declaration(
            name, split_options(call.words[1:], FETCH_WORDS), call.place
        )

    def run_make_available(self, scope: Scope, call: Call) -> None:
        for name in call.words:
            declaration = self.declared.get(name.lower())
            if declaration is not None:
                self.make_available(scope, declaration)

    def run_populate(self, scope: Scope, call: Call) -> None:
        """`FetchContent_Populate(name [options…])`: with options it declares as well."""
        name, *rest = call.words
        declaration = self.declared.get(name.lower())
        if rest:
            declaration = Declaration(name, split_options(tuple(rest), FETCH_WORDS), call.place)
        if declaration is not None:
            self.make_available(scope, declaration)

    def make_available(self, scope: Scope, declaration: Declaration) -> None:
        """FetchContent names its variables in lower case."""
        name = declaration.name.lower()
        folder = f"{FETCHED}/{name}-src"
        override = [
            path for path in declaration.options.get("SOURCE_DIR", []) if path and path != folder
        ]
        self.world.fetch(name)
        self.fetched[name] = declaration
        scope.set(f"{name}_SOURCE_DIR", override[0] if override else folder)
        scope.set(f"{name}_BINARY_DIR", f"{FETCHED}/{name}-build")
        scope.set(f"{name}_POPULATED", "TRUE")


def split_options(words: tuple[str, ...], keywords: frozenset[str]) -> dict[str, list[str]]:
    """`KEYWORD word… KEYWORD …` → each keyword's words; a later repetition adds to the first."""
    options: dict[str, list[str]] = {}
    keyword = ""
    for word in words:
        if word in keywords:
            keyword = word
            options.setdefault(keyword, [])
        else:
            options.setdefault(keyword, []).append(word)
    return options


def run_find(scope: Scope, call: Call) -> None:
    """What is looked for is found: whether this machine has it is another question."""
    scope.cache.setdefault(call.words[0], f"/usr/lib/{call.words[-1].lower()}")


def run_check_flag(scope: Scope, call: Call) -> None:
    scope.cache[call.words[1]] = "1"
