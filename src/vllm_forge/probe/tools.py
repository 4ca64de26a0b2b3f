"""The programs a build is made with: those we ship first, then PATH's."""

import re
import sys
from pathlib import Path
from typing import Final

from vllm_forge.probe.answers import Answers, in_parallel
from vllm_forge.probe.programs import Programs, runnable
from vllm_forge.records.machine import Tools

NAMES: Final = ("uv", "cmake", "ninja", "ccache", "sccache", "git")
VERSION: Final = re.compile(r"\d+(\.\d+)+[0-9A-Za-z.+-]*")


def parse_tool_version(text: str) -> str | None:
    """The first version-like word of `--version`.

    >>> said = ("uv 0.13.9 (x86_64-linux)", "cmake version 3.31.6", "1.13.0.git.kitware")
    >>> [parse_tool_version(text) for text in said]
    ['0.13.9', '3.31.6', '1.13.0.git.kitware']
    """
    for word in text.split("\n", 1)[0].split():
        if match := VERSION.fullmatch(word):
            return match[0]
    return None


def places_of(name: str, programs: Programs) -> tuple[Path, ...]:
    """Where to look for a tool, best first.

    uv, cmake and ninja are dependencies of ours and lie beside our interpreter, in versions that
    pyproject.toml vouches for; a distribution's may be too old.
    """
    return (Path(sys.executable).parent / name, *programs.get(name, ()))


def read_tools(programs: Programs, answers: Answers) -> Tools:
    """The version of the first of each that runs."""

    def ask(name: str) -> str | None:
        for path in places_of(name, programs):
            if runnable(path):
                said = answers.ask(path, "--version")
                if said.code == 0 and (version := parse_tool_version(said.stdout)):
                    return version
        return None

    return Tools(**dict(zip(NAMES, in_parallel(ask, NAMES), strict=True)))
