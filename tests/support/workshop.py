"""A tiny vLLM: two extensions, a header in the tree and one in torch, built by CMake and ninja."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.editing import edit_file
from vllm_forge.plan.fingerprint import fingerprint
from vllm_forge.plan.launcher import launcher_definitions
from vllm_forge.records.event import Event, Note
from vllm_forge.records.home import Home
from vllm_forge.records.plan import Compile, Configure, Environment, Plan, Step
from vllm_forge.run.doing.native import make_native
from vllm_forge.run.doing.shelving import open_shelf
from vllm_forge.run.doing.site import Done, Site
from vllm_forge.run.doors import Doors
from vllm_forge.run.index import IndexSettings
from vllm_forge.run.network import Network
from vllm_forge.run.process import run_command
from vllm_forge.run.store.folder import FolderLayer
from vllm_forge.run.store.layer import Layer
from vllm_forge.run.store.store import Store

GXX = "/usr/bin/g++"

CMAKE = """\
cmake_minimum_required(VERSION 3.26)
project(tiny CXX)
find_package(Torch REQUIRED)
include(cmake/flags.cmake)
execute_process(COMMAND ${VLLM_PYTHON_EXECUTABLE} -S ${CMAKE_SOURCE_DIR}/csrc/generate.py)
file(GLOB GENERATED csrc/kernel_*.cpp)
foreach(name _C _moe_C)
  add_library(${name} MODULE csrc/${name}.cpp)
  set_target_properties(${name} PROPERTIES PREFIX "" SUFFIX ".abi3.so")
  target_include_directories(${name} PRIVATE csrc csrc/inner)
  target_compile_options(${name} PRIVATE ${TINY_FLAGS})
  target_link_libraries(${name} PRIVATE torch)
endforeach()
target_sources(_C PRIVATE ${GENERATED})
"""

GENERATE = """\
from pathlib import Path
place = Path(__file__).with_name("kernel_made.cpp")
place.exists() or place.write_text("int made() { return 1000; }\\n")
"""

FILES = {
    "CMakeLists.txt": CMAKE,
    "cmake/flags.cmake": "set(TINY_FLAGS -O1)\n",
    "csrc/generate.py": GENERATE,
    "csrc/inner/part.h": "#define PART 20\n",
    "csrc/_C.cpp": (
        '#include "part.h"\n#include <torch/all.h>\nint made();\n'
        'extern "C" int value() { return 1 + PART + TORCH + made(); }\n'
    ),
    "csrc/_moe_C.cpp": '#include <torch/all.h>\nextern "C" int value() { return 2 + TORCH; }\n',
    "vllm/__init__.py": "import sys\n",
}


@dataclass
class Checkout:
    """One tree with its environment and build folder. What is said while it is built is `notes`."""

    base: Path
    store: Store
    home: Home
    notes: list[str] = field(default_factory=list)
    definitions: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    compiler: str = GXX

    @property
    def tree(self) -> Path:
        return self.base / "tree"

    @property
    def build_folder(self) -> Path:
        return self.base / "build"

    @property
    def torch(self) -> Path:
        return self.base / "env" / "lib" / "python3.12" / "site-packages" / "torch"

    def edit(self, name: str, old: str, new: str) -> None:
        edit_file(self.tree / name, old, new)

    def configure(self) -> Done:
        return make_native(self.configured, self._site("configure"))

    def compile(self) -> Done:
        return make_native(self.compiled, self._site("compile"))

    def build(self) -> tuple[Done, Done]:
        return self.configure(), self.compile()

    def known(self) -> set[str]:
        """The targets that the store has now, by what the files hold now; nothing is restored."""
        shelf = open_shelf(self._site("configure"))
        assert shelf is not None
        return set(shelf.look())

    def value(self, target: str = "_C") -> int:
        """What the installed extension answers, in a process of its own."""
        path = self.tree / "vllm" / f"{target}.abi3.so"
        code = f"import ctypes; print(ctypes.CDLL({str(path)!r}).value())"
        libraries = {"LD_LIBRARY_PATH": str(self.torch / "lib")}
        return int(subprocess.check_output([sys.executable, "-c", code], env=libraries))

    @property
    def configured(self) -> Configure:
        definitions = {
            "CMAKE_BUILD_TYPE": "RelWithDebInfo",
            "VLLM_PYTHON_EXECUTABLE": str(self.base / "env" / "bin" / "python"),
            "Torch_DIR": str(self.base / "cmake"),
            **launcher_definitions(self.home.launcher, cuda=False),
            **self.definitions,
        }
        variables = {"VLLM_TARGET_DEVICE": "cpu", **self.variables}
        return Configure(
            str(self.tree), str(self.build_folder), definitions, variables, self.compiler
        )

    @property
    def compiled(self) -> Compile:
        targets = ("_C", "_moe_C")
        return Compile(
            source=str(self.tree),
            build=str(self.build_folder),
            targets=targets,
            modules=tuple(f"vllm.{name}" for name in targets),
            launcher=str(self.home.launcher),
            jobs=2,
        )

    def _site(self, name: str) -> Site:
        actions: list[tuple[str, Configure | Compile | Environment]] = [
            ("configure", self.configured),
            ("compile", self.compiled),
        ]
        environment = Environment(str(self.base / "env"), sys.executable, "2.6.0", None)
        actions.insert(0, ("environment", environment))
        steps = tuple(Step(one, one, act, (), fingerprint(act)) for one, act in actions)
        step = next(one for one in steps if one.name == name)
        facts = {
            "torch_version": "2.6.0",
            "torch_cuda": None,
            "torch_cxx11_abi": "new",
            "torch_folder": str(self.torch),
        }
        log = self.base / f"{name}.log"
        log.unlink(missing_ok=True)
        return Site(step, Plan("ok", "tiny", {}, steps=steps), self._doors, facts, log)

    @property
    def _doors(self) -> Doors:
        return Doors(
            home=self.home,
            settings=IndexSettings("file:///nowhere", "a test"),
            network=Network(offline=True),
            run=run_command,
            emit=self._hear,
            environ={},
            offline=True,
            store=self.store,
        )

    def _hear(self, event: Event) -> None:
        if isinstance(event, Note):
            self.notes.append(event.message)


@dataclass
class Workshop:
    """Where checkouts are made; all of one store unless told otherwise."""

    folder: Path
    torch: Path

    def checkout(
        self, name: str, *layers: Layer, home: str = "home", store: Store | None = None
    ) -> Checkout:
        base = self.folder / name
        for file, text in FILES.items():
            path = base / "tree" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        packages = base / "env" / "lib" / "python3.12" / "site-packages"
        shutil.copytree(self.torch, packages, symlinks=True)
        python = base / "env" / "bin" / "python"
        python.parent.mkdir()
        python.symlink_to(sys.executable)
        (base / "env" / "pyvenv.cfg").write_text("home = /usr/bin\nversion_info = 3.12.1\n")
        there = Home(self.folder / home)
        made = Checkout(base, Store(), there)
        made.store = store or Store(layers or (FolderLayer(there.store),), made.notes.append)
        return made


@pytest.fixture(scope="session")
def tiny_torch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site-packages with as much of torch as `torch_config` links and includes."""
    packages = tmp_path_factory.mktemp("packages")
    torch = packages / "torch"
    for name in ("lib", "include/torch/csrc/api/include"):
        (torch / name).mkdir(parents=True)
    (torch / "include" / "torch" / "all.h").write_text("#define TORCH 300\n")
    (torch / "version.py").write_text("__version__ = '2.6.0'\n")
    source = packages / "empty.cpp"
    source.write_text("")
    for name in ("c10", "torch_cpu", "torch"):
        library = torch / "lib" / f"lib{name}.so"
        soname = f"-Wl,-soname,lib{name}.so"
        subprocess.run([GXX, "-shared", soname, "-o", library, source], check=True)
    source.unlink()
    record = packages / "torch-2.6.0.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text("torch/version.py,sha256=abc,23\ntorch/lib/libc10.so,sha256=def,1\n")
    return packages


@pytest.fixture(scope="session")
def make_workshop(tiny_torch: Path) -> Callable[[Path], Workshop]:
    return lambda folder: Workshop(folder, tiny_torch)


@pytest.fixture
def workshop(tmp_path: Path, make_workshop: Callable[[Path], Workshop]) -> Workshop:
    return make_workshop(tmp_path)
