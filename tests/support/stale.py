"""A tree shaped like vLLM's: a generator that CMake runs once, a fetched project, torch, a toolkit.

Every object's inputs are known here, apart from every tool: equal inputs have to give equal
objects, and different ones different objects.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.editing import edit_file
from vllm_forge.plan.fingerprint import fingerprint
from vllm_forge.plan.launcher import launcher_definitions
from vllm_forge.records.event import Event, StepFinished
from vllm_forge.records.home import Home
from vllm_forge.records.plan import (
    Action,
    Compile,
    Configure,
    Environment,
    Plan,
    Projects,
    Step,
)
from vllm_forge.records.project import PlannedProject, Ways
from vllm_forge.records.receipt import Receipt
from vllm_forge.records.release import FetchedProject
from vllm_forge.run.doors import Doors
from vllm_forge.run.execute import execute
from vllm_forge.run.index import IndexSettings
from vllm_forge.run.marks import marks_of
from vllm_forge.run.network import Network
from vllm_forge.run.process import run_command
from vllm_forge.run.receipts import why_redo_any, write_receipt
from vllm_forge.run.store.store import Store

CMAKE = """\
cmake_minimum_required(VERSION 3.26)
project(tiny LANGUAGES CXX)
if(CMAKE_CUDA_COMPILER)
  set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real)
  enable_language(CUDA)
endif()
find_package(Torch REQUIRED)
include(cmake/flags.cmake)
set(SCRIPT ${CMAKE_CURRENT_SOURCE_DIR}/csrc/gen/generate_kernels.py)
file(MD5 ${SCRIPT} TINY_GEN_SCRIPT_HASH)
if(NOT DEFINED CACHE{TINY_GEN_SCRIPT_HASH}
   OR NOT $CACHE{TINY_GEN_SCRIPT_HASH} STREQUAL ${TINY_GEN_SCRIPT_HASH})
  execute_process(COMMAND ${VLLM_PYTHON_EXECUTABLE} ${SCRIPT} COMMAND_ERROR_IS_FATAL ANY)
  set(TINY_GEN_SCRIPT_HASH ${TINY_GEN_SCRIPT_HASH} CACHE STRING "the last one" FORCE)
endif()
file(GLOB KERNELS csrc/gen/kernel_*.EXT)
set_source_files_properties(csrc/plain.EXT PROPERTIES COMPILE_OPTIONS "${PLAIN_FLAGS}")
add_library(_C MODULE csrc/plain.EXT csrc/many.EXT csrc/bind.cpp ${KERNELS})
set_target_properties(_C PROPERTIES PREFIX "" SUFFIX ".abi3.so")
target_include_directories(_C PRIVATE csrc csrc/inner $ENV{PART_SRC_DIR}/include)
target_include_directories(_C SYSTEM PRIVATE ${TORCH_INCLUDE_DIRS})
"""
GENERATE = """\
from pathlib import Path
here = Path(__file__).parent
for old in here.glob("kernel_*.EXT"):
    old.unlink()
for name in ["a", "b"]:
    text = here.joinpath("kernel.jinja").read_text()
    here.joinpath(f"kernel_{name}.EXT").write_text(text.replace("NAME", name))
"""
MANY = """\
#include "part.h"
#include "inner.h"
#ifdef __CUDACC__
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
#include "second.h"
__device__ int second() { return SECOND; }
#else
__device__ int second() { return 0; }
#endif
__global__ void kernel(int *out) { *out = second(); }
#else
#include "second.h"
int second() { return SECOND; }
#endif
#ifndef __CUDA_ARCH__
#include "host.h"
int many() { return HOST * 11 + PART * 101 + INNER * 1009 + WRAPPED * 10007; }
#endif
"""
FILES = {
    "CMakeLists.txt": CMAKE,
    "cmake/flags.cmake": "set(PLAIN_FLAGS -DFLAG=1)\n",
    "csrc/gen/generate_kernels.py": GENERATE,
    "csrc/gen/kernel.jinja": "int kernel_NAME() { return 1 + WRAPPED * 10007; }\n",
    "csrc/plain.EXT": "int plain() { return FLAG * 11 + WRAPPED * 10007; }\n",
    "csrc/many.EXT": MANY,
    "csrc/bind.cpp": "#include <torch/all.h>\nint bind() { return TORCH + WRAPPED * 10007; }\n",
    "csrc/host.h": "#define HOST 1\n",
    "csrc/second.h": "#define SECOND 1\n",
    "csrc/inner/inner.h": "#define INNER 1\n",
    "csrc/unread.h": "",
    "vllm/__init__.py": "",
}
PROJECT = FetchedProject("part", "nowhere", "v1", "PART_SRC_DIR", None, ("cpu",), "CMakeLists.txt")


@dataclass
class Tree:
    """The tree with all it is built from; `cache` is the mode it is built in."""

    base: Path
    cache: str | None
    launcher_home: Path
    nvcc: Path | None = None
    known: dict[tuple[str, str], str] = field(default_factory=dict)
    """(object, digest of its inputs) → digest of the object."""
    store: Store = field(default_factory=Store)
    events: list[Event] = field(default_factory=list)
    """What the last builds said."""

    def __post_init__(self) -> None:
        for name, text in FILES.items():
            self.write(name, text)
        for folder in (self.part / "include", self.torch / "include" / "torch"):
            folder.mkdir(parents=True)
        (self.part / "include" / "part.h").write_text("#define PART 1\n")
        (self.torch / "include" / "torch" / "all.h").write_text("#define TORCH 100\n")
        (self.torch / "version.py").write_text("__version__ = '2.6.0'\n")
        record = self.torch.parent / "torch-2.6.0.dist-info" / "RECORD"
        record.parent.mkdir()
        record.write_text("torch/version.py,sha256=abc,22\n")
        self.wrap(1)

    @property
    def extension(self) -> str:
        return "cpp" if self.nvcc is None else "cu"

    @property
    def tree(self) -> Path:
        return self.base / "tree"

    @property
    def part(self) -> Path:
        """The project's folder, the user's own."""
        return self.base / "part"

    @property
    def torch(self) -> Path:
        return self.base / "env" / "torch"

    @property
    def build_folder(self) -> Path:
        return self.base / "build"

    @property
    def home(self) -> Home:
        return Home(self.launcher_home)

    def path(self, name: str) -> Path:
        return self.tree / name.replace("EXT", self.extension)

    def write(self, name: str, text: str) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("EXT", self.extension))

    def replace(self, name: str, old: str, new: str) -> None:
        edit_file(self.path(name), old, new)

    def put(self, path: Path, text: str) -> None:
        """New content under the old time, as cp -p, tar and installers do."""
        before = path.stat()
        path.write_text(text)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def touch(self, *folders: Path) -> None:
        for folder in folders:
            for path in folder.rglob("*"):
                if path.is_file():
                    os.utime(path)

    def wrap(self, number: int) -> None:
        """Put other compilers in the place of those that are there."""
        compilers = {"toolchain/g++": "/usr/bin/g++"}
        if self.nvcc is not None:
            compilers["toolkit/bin/nvcc"] = str(self.nvcc)
        for name, real in compilers.items():
            place = self.base / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(f'#!/bin/sh\nexec {real} -DWRAPPED={number} "$@"\n')
            place.chmod(0o755)

    def inputs(self) -> dict[str, str]:
        """Object → a digest of everything that it has to be made from, as it is now."""
        ext = self.extension
        compilers = [self.base / "toolchain" / "g++"]
        compilers += [] if self.nvcc is None else [self.base / "toolkit" / "bin" / "nvcc"]
        first = self.path("csrc/inner.h")
        inner = first if first.exists() else self.path("csrc/inner/inner.h")
        headers = [self.path("csrc/host.h"), self.path("csrc/second.h"), inner]
        files = {
            f"csrc/plain.{ext}": [self.path("csrc/plain.EXT"), self.path("cmake/flags.cmake")],
            f"csrc/many.{ext}": [
                *(self.path("csrc/many.EXT"), *headers),
                self.part / "include" / "part.h",
            ],
            "csrc/bind.cpp": [
                self.path("csrc/bind.cpp"),
                self.torch / "include" / "torch" / "all.h",
            ],
        }
        for kernel in ("a", "b", "c"):
            if f'"{kernel}"' in self.path("csrc/gen/generate_kernels.py").read_text():
                files[f"csrc/gen/kernel_{kernel}.{ext}"] = [self.path("csrc/gen/kernel.jinja")]
        variables = os.environ.get("CPATH", "")
        return {
            name: hashlib.sha256(
                b"\0".join(
                    [variables.encode(), *(path.read_bytes() for path in [*compilers, *read])]
                )
            ).hexdigest()
            for name, read in files.items()
        }

    def objects(self) -> dict[str, Path]:
        folder = self.build_folder / "CMakeFiles" / "_C.dir"
        return {
            str(path.relative_to(folder)).removesuffix(".o"): path for path in folder.rglob("*.o")
        }

    def build(self) -> set[str]:
        """Build it as `vllm-forge build` does; the objects that were written.

        Fails where an object is not what its inputs make.
        """
        before = {name: path.stat().st_mtime_ns for name, path in self.objects().items()}
        execute(self.plan, self._doors)
        made = self.objects()
        inputs = self.inputs()
        assert set(inputs) <= set(made)
        for name, digest in inputs.items():
            content = hashlib.sha256(made[name].read_bytes()).hexdigest()
            assert self.known.setdefault((name, digest), content) == content, f"{name} is stale"
            others = {one for key, one in self.known.items() if key[0] == name}
            keys = {key for key in self.known if key[0] == name}
            assert len(others) == len(keys), f"{name} is what other inputs make"
        assert self.unchanged, "a second look would build again"
        return {name for name in inputs if made[name].stat().st_mtime_ns != before.get(name)}

    def build_with_store(self) -> str:
        """Build it; where the extension came from: "compiled", "store" or "unchanged".

        Fails where it is not what all inputs together make.
        """
        self.events.clear()
        execute(self.plan, self._doors)
        inputs = hashlib.sha256(repr(sorted(self.inputs().items())).encode()).hexdigest()
        content = hashlib.sha256((self.tree / "vllm" / "_C.abi3.so").read_bytes()).hexdigest()
        assert self.known.setdefault(("_C", inputs), content) == content, "_C is stale"
        assert len(set(self.known.values())) == len(self.known), "_C is what other inputs make"
        assert self.unchanged, "a second look would build again"
        steps = (one for one in self.events if isinstance(one, StepFinished))
        said = [one.summary for one in steps if one.step == "compile"]
        if not said:
            return "unchanged"
        return "store" if "from the store" in said[0] else "compiled"

    @property
    def unchanged(self) -> bool:
        """Whether the next build has nothing to do."""
        return why_redo_any(marks_of(self.plan), self.home.receipts("tiny")) is None

    @property
    def plan(self) -> Plan:
        compiler = str(self.base / "toolchain" / "g++")
        definitions = {
            "CMAKE_BUILD_TYPE": "Release",
            "VLLM_PYTHON_EXECUTABLE": sys.executable,
            "Torch_DIR": str(self.base / "cmake"),
            **launcher_definitions(self.home.launcher, cuda=self.nvcc is not None),
        }
        variables: dict[str, str] = {}
        if self.nvcc is not None:
            definitions["CMAKE_CUDA_COMPILER"] = str(self.base / "toolkit" / "bin" / "nvcc")
            definitions["CMAKE_CUDA_HOST_COMPILER"] = "/usr/bin/g++"
            variables["CUDA_HOME"] = str(self.base / "toolkit")
        planned = (PlannedProject(PROJECT, "folder", "the user's"),)
        tree, build = str(self.tree), str(self.build_folder)
        actions: dict[str, Action] = {
            "projects": Projects(planned, Ways(folders={"part": str(self.part)})),
            "environment": Environment(str(self.base / "env"), sys.executable, "2.6.0", None),
            "configure": Configure(tree, build, definitions, variables, compiler),
            "compile": Compile(
                *(tree, build, ("_C",), ("vllm._C",), str(self.home.launcher), 2),
                cache=self.cache,
                cache_wished=True,
            ),
        }
        steps = tuple(
            Step(name, name, action, (), fingerprint(action)) for name, action in actions.items()
        )
        facts: dict[str, str | None] = {
            "torch_version": "2.6.0",
            "torch_cuda": None,
            "torch_cxx11_abi": "new",
            "torch_folder": str(self.torch),
        }
        receipt = Receipt("environment", steps[1].fingerprint, (), 0.0, "", facts)
        write_receipt(self.home.receipts("tiny"), receipt)
        return Plan("ok", "tiny", {}, steps=steps)

    @property
    def _doors(self) -> Doors:
        return Doors(
            home=self.home,
            settings=IndexSettings("file:///nowhere", "a test"),
            network=Network(offline=True),
            run=run_command,
            emit=self.events.append,
            environ={},
            offline=True,
            store=self.store,
        )


@pytest.fixture(scope="session")
def make_stale_tree() -> Callable[..., Tree]:
    return Tree
