"""Build tools: those shipped beside this program, else those on PATH."""

import os
import shutil
import sys
from pathlib import Path

from vllm_forge.records.problem import Problem


def tool(name: str) -> Path:
    """The program `name`, ours first: cmake and ninja are our own dependencies."""
    beside = Path(sys.executable).parent / name
    if beside.exists():
        return beside
    found = shutil.which(name)
    if found is None:
        raise Problem(f"{name} is not installed", hints=(f"python3 -m pip install {name}",))
    return Path(found)


NOT_HEARD = ("CMAKE_ARGS", "CMAKE_BUILD_TYPE", "MAX_JOBS", "NVCC_THREADS", "MAKEFLAGS")
"""What a user set for pip's build of vLLM."""


def build_variables(**more: str) -> dict[str, str]:
    """The environment compilers run in: the user's, our tools first on PATH, and plain messages.

    What a user set for pip's build of vLLM does not leak in: the plan says everything.
    """
    kept = {name: value for name, value in os.environ.items() if name not in NOT_HEARD}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return {**kept, "PATH": path, "LC_ALL": "C.UTF-8", **more}
