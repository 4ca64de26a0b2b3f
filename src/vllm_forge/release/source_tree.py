"""One unpacked vLLM tree: its files, each read and parsed at most once."""

import ast
import hashlib
from pathlib import Path
from typing import Final

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.release.cmake_blocks import Body, parse_blocks
from vllm_forge.release.cmake_syntax import Command, parse_cmake

REQUIRED: Final = (
    "pyproject.toml",
    "setup.py",
    "CMakeLists.txt",
    "cmake/utils.cmake",
    "requirements/common.txt",
    "csrc",
    "vllm/__init__.py",
    "vllm/model_executor/layers/quantization/__init__.py",
)
"""What every tree since 0.8.0 has; a tree without one of them is half a tree."""


class SourceTree:
    """Reads files of one tree by their path relative to it.

    Raises:
        Problem: exit 5 naming the path, when it is not a vLLM tree, not a whole one, or a file in
            it cannot be parsed.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._texts: dict[str, str | None] = {}
        self._modules: dict[str, ast.Module] = {}
        self._commands: dict[str, tuple[Command, ...]] = {}
        self._blocks: dict[str, Body] = {}
        if not root.is_dir():
            raise bad_tree(
                f"{root} is not a folder", "give the folder that holds vLLM's setup.py, unpacked"
            )
        missing = [path for path in REQUIRED if not (root / path).exists()]
        if missing and not (root / "vllm").is_dir():
            raise bad_tree(
                f"{root} is not a vLLM source tree: it has no vllm/ folder",
                "give the folder that holds vLLM's setup.py",
            )
        if missing:
            raise bad_tree(
                f"{root} is only part of a vLLM source tree: {root / missing[0]} is missing",
                "unpack the sdist again, or check out the whole repository",
            )

    def text(self, path: str) -> str | None:
        """The file's text, None where there is no such file."""
        if path not in self._texts:
            file = self.root / path
            try:
                text = file.read_text(encoding="utf-8") if file.is_file() else None
            except (OSError, UnicodeDecodeError) as error:
                raise bad_tree(f"{file} cannot be read: {error}") from error
            self._texts[path] = text
        return self._texts[path]

    def module(self, path: str) -> ast.Module | None:
        """The parsed Python file, None where there is no such file."""
        if path not in self._modules:
            text = self.text(path)
            if text is None:
                return None
            try:
                self._modules[path] = ast.parse(text)
            except (SyntaxError, ValueError, RecursionError) as error:
                raise bad_tree(f"{self.root / path} is not Python: {error}") from error
        return self._modules[path]

    def commands(self, path: str) -> tuple[Command, ...]:
        """The commands of a CMake file, empty where there is no such file."""
        if path not in self._commands:
            text = self.text(path)
            self._commands[path] = (
                () if text is None else parse_cmake(text, origin=str(self.root / path))
            )
        return self._commands[path]

    def blocks(self, path: str) -> Body:
        """The same commands, nested."""
        if path not in self._blocks:
            self._blocks[path] = parse_blocks(self.commands(path), origin=str(self.root / path))
        return self._blocks[path]

    def sha256(self, path: str) -> str:
        """Of the file's bytes, hex; "" where there is no such file."""
        return sha256_of(self.root / path)

    def files(self, pattern: str) -> list[str]:
        """Relative paths matching a glob, sorted."""
        return sorted(file.relative_to(self.root).as_posix() for file in self.root.glob(pattern))


def sha256_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def bad_tree(message: str, *hints: str) -> Problem:
    return Problem(message, hints=hints, exit_code=ExitCode.BAD_INPUT)
