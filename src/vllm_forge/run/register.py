"""The editable install: `pip show vllm` and `import vllm` say what was built and where.

setup.py's own editable install would compile everything again its own way; so the wheel that PEP
660 asks a backend for is written here, and installed by PyPA's installer with the direct_url.json
(PEP 610) that marks it editable.
"""

import json
import re
import shutil
import tomllib
from pathlib import Path

from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile
from packaging.tags import sys_tags

from vllm_forge.records.doors import RunCommand
from vllm_forge.records.plan import Register
from vllm_forge.records.problem import Problem
from vllm_forge.run.environment import python_of
from vllm_forge.run.files import write_atomically
from vllm_forge.run.uv import Uv
from vllm_forge.run.wheel import WheelMetadata, write_wheel

SCHEME = "import json, sysconfig; print(json.dumps(sysconfig.get_paths()))"

VERSION_FILE = """\
# Written by vllm-forge, as setuptools-scm would; the device is no part of the source's version.
source_version = {source!r}
__version__ = version = {said}
__version_tuple__ = version_tuple = {numbers!r}
"""
DEVICE = re.compile(r"(.+)([+.](?:cpu|cu\d+|precompiled))")
"""A version with the device that `plan` put at its end, as setup.py does."""


def register_editable(
    action: Register, requires: tuple[str, ...], uv: Uv, run: RunCommand
) -> tuple[Path, ...]:
    """Install vLLM's metadata and a path entry into the environment; return what was written.

    `requires` are the Requires-Dist lines. An earlier vllm in the environment is removed first.
    """
    tree = Path(action.source)
    environment = Path(action.environment)
    uv("pip", "uninstall", "--python", python_of(environment), "vllm", failed="uninstall failed")
    write_version(tree, action.version)
    metadata = read_metadata(tree, action.version, requires, tag="py3-none-any")
    entry = "__editable__.vllm.pth"
    wheel = write_wheel(environment / "forge-wheel", metadata, [(entry, f"{tree}\n".encode())])
    said = run([python_of(environment), "-I", "-c", SCHEME])
    if said.code != 0:
        raise Problem(f"{python_of(environment)} does not run", causes=(said.stderr.strip(),))
    scheme = json.loads(said.stdout)
    destination = SchemeDictionaryDestination(
        {key: scheme[key] for key in ("purelib", "platlib", "scripts", "data")}
        | {"headers": scheme["include"]},
        interpreter=str(python_of(environment)),
        script_kind="posix",
        bytecode_optimization_levels=(),
        overwrite_existing=True,
    )
    direct_url = {"url": tree.resolve().as_uri(), "dir_info": {"editable": True}}
    with WheelFile.open(wheel) as source:
        install(
            source=source,
            destination=destination,
            additional_metadata={
                "INSTALLER": b"vllm-forge\n",
                "direct_url.json": json.dumps(direct_url).encode(),
            },
        )
    shutil.rmtree(wheel.parent)
    library = Path(scheme["purelib"])
    return (library / entry, library / metadata.dist_info / "METADATA")


def build_wheel(
    tree: Path, folder: Path, version: str, requires: tuple[str, ...], python: str
) -> Path:
    """A wheel of the built tree for this platform: every file of the package, extensions included.

    `python` is the minor version (`3.12`): without abi3 the extensions fit only that one.
    """
    files = sorted(
        file
        for file in (tree / "vllm").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and not file.name.startswith(".")
    )
    stable = all(".abi3." in file.name for file in files if file.suffix == ".so")
    compact = python.replace(".", "")
    platform = next(iter(sys_tags())).platform
    tag = f"cp38-abi3-{platform}" if stable else f"cp{compact}-cp{compact}-{platform}"
    metadata = read_metadata(tree, version, requires, tag=tag)
    return write_wheel(folder, metadata, ((str(file.relative_to(tree)), file) for file in files))


def read_metadata(
    tree: Path, version: str, requires: tuple[str, ...], *, tag: str
) -> WheelMetadata:
    """What pyproject.toml says, with our version and requirements."""
    project = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    scripts = project.get("scripts", {})
    return WheelMetadata(
        name=project["name"],
        version=version,
        summary=project.get("description", ""),
        requires_python=project.get("requires-python"),
        requires_dist=requires,
        entry_points={
            **({"console_scripts": scripts} if scripts else {}),
            **project.get("entry-points", {}),
        },
        tag=tag,
    )


def write_version(tree: Path, version: str) -> None:
    """vllm/_version.py and nothing else, as an editable install must; unchanged when right.

    The device is added at run time: who reads the file statically, as we do for the next plan,
    finds the source's version and not one with the device in it already.
    """
    numbers = tuple(
        int(part) if part.isdigit() else part for part in re.split(r"[.+]", version) if part
    )
    match = DEVICE.fullmatch(version)
    source, device = match.groups() if match else (version, None)
    text = VERSION_FILE.format(
        source=source,
        said=f"source_version + {device!r}" if device else repr(source),
        numbers=numbers,
    )
    path = tree / "vllm" / "_version.py"
    if not path.exists() or path.read_text() != text:
        write_atomically(path, text)
