"""One build as the store sees it: names for its folders, and what decides besides file contents."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vllm_forge.records.doors import RunCommand
from vllm_forge.records.plan import HOOK, LEAVING_OUT, Configure
from vllm_forge.run.cmake_hook import TEXT
from vllm_forge.run.environment import TorchProof
from vllm_forge.run.store.digests import Digests, digest_of
from vllm_forge.run.store.graph import Target
from vllm_forge.run.store.identity import (
    identify_cmake,
    identify_compiler,
    identify_left_out,
    identify_package,
    identify_toolkit,
    identify_torch,
    read_cpu_flags,
    select_variables,
)
from vllm_forge.run.store.keys import plain_definitions
from vllm_forge.run.store.roots import Roots
from vllm_forge.run.store.run_path import without_room
from vllm_forge.run.tools import build_variables, tool
from vllm_forge.run.torch_config import TEMPLATE

NATIVE_FLAG = re.compile(r"-m(?:arch|tune|cpu)=native")
LAUNCHED = re.compile(r"\{launcher\} ")


@dataclass(frozen=True, slots=True)
class Setting:
    """`configure` with every definition and variable that CMake gets.

    `tools` tells compilers, torch and Python apart; `asked` what CMake is told besides.
    """

    configure: Configure
    roots: Roots
    tools: Mapping[str, object]
    asked: Mapping[str, object]

    @property
    def source(self) -> Path:
        return Path(self.configure.source)

    @property
    def build(self) -> Path:
        return Path(self.configure.build)

    @property
    def before_cmake(self) -> dict[str, object]:
        """What decides when only CMake's inputs are known."""
        return {"way": "before CMake", **self.tools, **self.asked}

    def after_cmake(self, target: Target) -> dict[str, object]:
        """What decides when the commands are known, whatever CMake was told."""
        named = (without_room(self.roots.named(line)) for line in target.commands)
        commands = [LAUNCHED.sub("", line) for line in named]
        native = any(NATIVE_FLAG.search(line) for line in commands)
        return {
            "way": "after CMake",
            **self.tools,
            "commands": commands,
            "cpu": read_cpu_flags() if native else "",
        }


@dataclass(frozen=True, slots=True)
class Places:
    """Folders of one build that differ elsewhere; None for what it has none of."""

    environment: Path
    launcher: Path
    system: Path | None
    projects: Mapping[str, str]
    pins: Mapping[str, str]


def read_setting(
    configure: Configure, torch: TorchProof, places: Places, digests: Digests, run: RunCommand
) -> Setting | None:
    """None where torch cannot be told apart from another build of it: then nothing is shared."""
    wheel = identify_torch(Path(torch.folder), digests)
    if wheel is None:
        return None
    toolkit = configure.variables.get("CUDA_HOME")
    minor, include = read_python(places.environment)
    roots = Roots(_folders(configure, torch, places, include))
    tools: dict[str, object] = {
        "compiler": identify_compiler(configure.compiler, digests, run),
        "toolkit": identify_toolkit(Path(toolkit), digests) if toolkit else None,
        "torch": [torch.version, torch.cuda, torch.cxx11_abi, wheel],
        "python": minor,
        "left_out": identify_left_out(configure.definitions, digests),
    }
    tops = [Path(folder) for folder in (configure.source, *places.projects.values())]
    named = select_variables(build_variables(), [file for top in tops for file in _cmake(top)])
    variables = {**named, **configure.variables}
    asked = {
        "definitions": plain_definitions(configure.definitions, roots),
        "variables": {name: roots.named(value) for name, value in variables.items()},
        "cmake": identify_cmake(tool("cmake"), digests, run),
        "projects": dict(places.pins),
        "ours": digest_of([TEXT, TEMPLATE]),
        "jinja": identify_package(places.environment, "jinja2"),
        "cpu": "" if toolkit else read_cpu_flags(),
    }
    return Setting(configure, roots, tools, asked)


def _cmake(top: Path) -> list[Path]:
    return [top / "CMakeLists.txt", *sorted((top / "cmake").rglob("*.cmake"))]


def _folders(
    configure: Configure, torch: TorchProof, places: Places, include: Path | None
) -> dict[str, str | Path]:
    found: dict[str, str | Path | None] = {
        "tree": configure.source,
        "build": configure.build,
        "cmake": _own_cmake(configure.definitions),
        "environment": places.environment,
        "torch": torch.folder,
        "toolkit": configure.variables.get("CUDA_HOME"),
        "python": include,
        "system": places.system,
        "launcher": places.launcher,
        "compiler": configure.compiler,
        **{f"project:{name}": folder for name, folder in places.projects.items()},
    }
    return {name: folder for name, folder in found.items() if folder}


def _own_cmake(definitions: Mapping[str, str]) -> Path | None:
    """The folder of CMake files of our own, where this build has any."""
    if "Torch_DIR" in definitions:
        return Path(definitions["Torch_DIR"])
    files = (definitions.get(name) for name in (HOOK, LEAVING_OUT))
    return next((Path(file).parent for file in files if file), None)


def read_python(environment: Path) -> tuple[str, Path | None]:
    """The environment's minor version, and the include folder of the Python it was made from."""
    said = {}
    try:
        for line in (environment / "pyvenv.cfg").read_text(encoding="utf-8").splitlines():
            name, equals, value = line.partition("=")
            if equals:
                said[name.strip()] = value.strip()
    except OSError:
        return "unknown", None
    version = said.get("version_info") or said.get("version") or "unknown"
    minor = ".".join(version.split(".")[:2])
    include = Path(said.get("home", "")).parent / "include" / f"python{minor}"
    return minor, include if include.is_dir() else None
