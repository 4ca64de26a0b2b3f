"""The evaluator's cases, put to CMake itself: what the unit tests expect is what CMake does."""

import os
from pathlib import Path

from vllm_forge.run.process import run_command

CASES = Path(__file__).parents[2] / "unit" / "release" / "cmake"
BEFORE = """
cmake_minimum_required(VERSION 3.26)
set(YES_SET something)
set(NO_SET OFF)
set(NAME word)
set(LETTERS a b)
set(KEPT 1 CACHE STRING text)
"""
RUN_CASE = """
function(run_case FILE)
  unset(R)
  include(${FILE})
  file(APPEND ANSWERS "${R}\\n")
  unset(R CACHE)
endfunction()
"""


def ask_cmake(scripts: list[str], folder: Path) -> list[str]:
    """What CMake's script mode says R is after each script, each in a scope of its own."""
    lines = [BEFORE, RUN_CASE.replace("ANSWERS", str(folder / "answers"))]
    for number, script in enumerate(scripts):
        (folder / f"{number}.cmake").write_text(script)
        lines.append(f"run_case({folder / f'{number}.cmake'})")
    (folder / "all.cmake").write_text("\n".join(lines))
    done = run_command(
        ["cmake", "-P", folder / "all.cmake"], env={**os.environ, "HERE": "from outside"}
    )
    assert done.code == 0, done.stderr
    return (folder / "answers").read_text().splitlines()


def test_values(tmp_path: Path) -> None:
    cases = (CASES / "values.txt").read_text().removeprefix("==== ").split("\n==== ")
    scripts = [case.partition("\n")[2] for case in cases]
    assert ask_cmake(scripts, tmp_path) == [case.partition("\n")[0].strip() for case in cases]


def test_conditions(tmp_path: Path) -> None:
    """Script mode has no targets."""
    lines = (CASES / "conditions.txt").read_text().splitlines()
    lines = [line for line in lines if "TARGET" not in line]
    scripts = [f"if({line[3:]})\nset(R ON)\nelse()\nset(R OFF)\nendif()" for line in lines]
    assert ask_cmake(scripts, tmp_path) == [line[:3].strip() for line in lines]
