"""What ninja knows of a target: its files, its commands, the headers each object read."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vllm_forge.records.doors import RunCommand
from vllm_forge.records.problem import Problem
from vllm_forge.run.ninja_deps import Deps, read_ninja_deps
from vllm_forge.run.process import work
from vllm_forge.run.tools import build_variables, tool

PATIENCE_SECONDS: Final = 120.0
RERUN: Final = ": RERUN_CMAKE"


@dataclass(frozen=True, slots=True)
class Target:
    """`inputs` are files from outside the build folder (sources, libraries), `objects` below it.

    `commands` compile and link it, in ninja's order.
    """

    inputs: tuple[str, ...]
    objects: tuple[str, ...]
    commands: tuple[str, ...]


class Ninja:
    """Questions to the ninja of one build folder; paths come back absolute."""

    def __init__(self, build: Path, run: RunCommand) -> None:
        self.build = build
        self._run = run

    def target(self, name: str) -> Target:
        """Raises Problem where ninja does not know it."""
        inputs: list[str] = []
        objects: list[str] = []
        for line in self._ask("inputs", name):
            if line.endswith(".o"):
                objects.append(line)
            elif line.startswith("/"):
                inputs.append(line)
        return Target(tuple(inputs), tuple(objects), tuple(self._ask("commands", name)))

    def deps(self, objects: Sequence[str]) -> dict[str, Deps]:
        """Of those objects that ninja has a record of."""
        known = read_ninja_deps(self.build)
        return {one: known[one] for one in objects if one in known}

    def regenerate(self, variables: Mapping[str, str], log: Path) -> bool:
        """Let CMake run again if one of its files changed; whether build.ninja is right now."""
        command: list[str | Path] = [tool("ninja"), "-C", self.build, "build.ninja"]
        return work(command, log=log, env=build_variables(**variables)).code == 0

    def configured_from(self) -> tuple[str, ...]:
        """Every file that CMake read: a change of one makes ninja run it again."""
        said = (self.build / "build.ninja").read_text(encoding="utf-8", errors="replace")
        return parse_configured_from(said)

    def _ask(self, about: str, *names: str) -> list[str]:
        return [line for line in self._say(about, *names).splitlines() if line]

    def _say(self, about: str, *names: str) -> str:
        command: list[str | Path] = [tool("ninja"), "-C", self.build, "-t", about, *names]
        said = self._run(command, env=build_variables(), timeout=PATIENCE_SECONDS)
        if said.code != 0:
            raise Problem(f"ninja -t {about} failed in {self.build}", causes=(said.stderr.strip(),))
        return said.stdout


def parse_configured_from(ninja: str) -> tuple[str, ...]:
    r"""The inputs of build.ninja's own edge.

    >>> parse_configured_from("build build.ninja a: RERUN_CMAKE | /t/a.cmake /t/C$ M.txt || x\n")
    ('/t/a.cmake', '/t/C M.txt')
    """
    for line in ninja.splitlines():
        if line.startswith("build build.ninja") and RERUN in line:
            words = re.split(r"(?<!\$) ", line.partition(RERUN)[2])
            kept = words[: words.index("||")] if "||" in words else words
            return tuple(unescape(word) for word in kept if word not in {"", "|"})
    return ()


def unescape(word: str) -> str:
    r"""Ninja's `$ `, `$:` and `$$`."""
    return re.sub(r"\$(.)", r"\1", word)
