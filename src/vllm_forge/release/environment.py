"""The environment variables a build of the tree looks at."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from vllm_forge.records.release import EnvironmentVariable
from vllm_forge.release.python_syntax import constant_string
from vllm_forge.release.source_tree import SourceTree

CMAKE_FILES: Final = ("CMakeLists.txt", "cmake/**/*.cmake")


def read_environment(tree: SourceTree) -> tuple[EnvironmentVariable, ...]:
    """By name, with every place that reads it: setup.py first, then CMake."""
    found: dict[str, list[str]] = {}
    for name, place in (*read_by_setup(tree), *read_by_cmake(tree)):
        places = found.setdefault(name, [])
        if place not in places:
            places.append(place)
    return tuple(EnvironmentVariable(name, tuple(found[name])) for name in sorted(found))


def read_by_setup(tree: SourceTree) -> Iterator[tuple[str, str]]:
    module = tree.module("setup.py")
    for node in ast.walk(module) if module else ():
        name = environment_name(node)
        if name is not None and isinstance(node, ast.expr):
            yield name, f"setup.py:{node.lineno}"


def environment_name(node: ast.AST) -> str | None:
    """`os.getenv(X)`, `os.environ.get(X)`, `os.environ[X]`, `X in os.environ`, `envs.X`.

    `envs` is vllm/envs.py, loaded by its path; its attributes are variables of the same name.
    """
    match node:
        case ast.Call(func=ast.Attribute(attr="getenv" | "get") as function, args=[name, *_]):
            read = ast.unparse(function) in {"os.getenv", "os.environ.get"}
            return constant_string(name) if read else None
        case ast.Subscript(value=value, slice=name, ctx=ast.Load()):
            return constant_string(name) if ast.unparse(value) == "os.environ" else None
        case ast.Compare(left=name, ops=[ast.In() | ast.NotIn()], comparators=[where]):
            return constant_string(name) if ast.unparse(where) == "os.environ" else None
        case ast.Attribute(value=ast.Name(id="envs"), attr=name) if name.isupper():
            return name
        case _:
            return None


def read_by_cmake(tree: SourceTree) -> Iterator[tuple[str, str]]:
    """`$ENV{X}` and `DEFINED ENV{X}`, in branches that no configuration takes as well."""
    for path in (path for pattern in CMAKE_FILES for path in tree.files(pattern)):
        for command in tree.commands(path):
            words = command.words()
            read = words[1:] if command.name == "set" else words
            for word in read:
                for name in re.findall(r"\bENV\{(\w+)\}", word):
                    yield name, f"{path}:{command.line}"
