"""What compiles: compilers, torch and the environment, each told apart by content."""

import re
import shutil
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from vllm_forge.probe.cpu import parse_cpuinfo
from vllm_forge.records.doors import RunCommand
from vllm_forge.records.plan import LEAVING_OUT
from vllm_forge.run.specialize import written_in
from vllm_forge.run.store.digests import Digests, digest_of
from vllm_forge.run.toolchain import NVCC_PARTS, OBEYED, PARTS

FILES: Final = (
    *("crti.o", "crtn.o", "crtbeginS.o", "crtendS.o", "libgcc.a", "libgcc_s.so.1"),
    *("libstdc++.so", "libgomp.so", "libc.so.6", "libm.so.6"),
)
"""What it links without being told, by -print-file-name; glibc's symbol versions end in the .so."""

TOOLKIT_LIBRARIES: Final = ("lib64/libcudadevrt.a", "lib64/libcudart_static.a")

ALSO_OBEYED: Final = ("CC", "CXX", "CUDACXX", "CUDA_PATH", "LD_RUN_PATH")
"""By CMake and the linker, besides `OBEYED`."""

PREFIXES: Final = ("CMAKE_", "TORCH_")
ASKED = re.compile(r"ENV\{(\w+)\}")
"""How CMake code reads a variable."""


def identify_compiler(compiler: str, digests: Digests, run: RunCommand) -> dict[str, str]:
    """Name → sha256 of the driver, of what it runs and of what it links unasked."""
    found = {"driver": digests.of(shutil.which(compiler) or compiler) or "none"}
    driver = (compiler, found["driver"])
    for name, answer in digests.once(driver, lambda: _ask_compiler(compiler, run)).items():
        path = answer if "/" in answer else shutil.which(answer) or ""
        found[name] = digests.of(path) or "none"
    return found


def _ask_compiler(compiler: str, run: RunCommand) -> Mapping[str, str]:
    """Where it says that its parts lie."""
    asked = [f"-print-prog-name={name}" for name in PARTS]
    asked += [f"-print-file-name={name}" for name in FILES]
    return {one.partition("=")[2]: run([compiler, one]).stdout.strip() for one in asked}


def identify_cmake(cmake: Path, digests: Digests, run: RunCommand) -> str:
    """Its first line about itself. Where a package brings it, `cmake` is a script of few lines."""
    try:
        package = version("cmake")
    except PackageNotFoundError:
        package = ""
    which = (cmake, digests.of(cmake), package)
    return digests.once(which, lambda: run([cmake, "--version"]).stdout.split("\n", 1)[0])


def identify_toolkit(prefix: Path, digests: Digests) -> dict[str, str]:
    """Name → sha256: nvcc itself only calls the others, so all of them count."""
    return {name: digests.of(prefix / name) or "none" for name in (*NVCC_PARTS, *TOOLKIT_LIBRARIES)}


def identify_torch(folder: Path, digests: Digests) -> str | None:
    """A digest over what the wheel's RECORD says of every file of torch; None without a RECORD.

    The libraries are linked by name and symbol version alone; the headers that are read count by
    their content besides.
    """
    record = next(folder.parent.glob("torch-*.dist-info/RECORD"), None)
    if record is None:
        return None
    kept = digests.once((record, digests.of(record)), lambda: _read_record(record))
    return digest_of([kept, digests.of(folder / "version.py")]) if kept else None


def _read_record(record: Path) -> tuple[str, ...]:
    """The lines about torch's files; none where it is unreadable."""
    try:
        lines = record.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ()
    return tuple(sorted(one for one in lines if one.startswith("torch/") and ",sha256=" in one))


def identify_package(environment: Path, name: str) -> str:
    """An installed package's folder of metadata, which names its version."""
    found = environment.glob(f"lib/python3*/site-packages/{name}-*.dist-info")
    return ",".join(sorted(path.name.lower() for path in found))


def read_cpu_flags() -> str:
    """A digest of what /proc/cpuinfo says: vLLM's CPU target chooses instructions by it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "unknown"
    _, flags = parse_cpuinfo(text)
    return digest_of(sorted(flags or ()))


def select_variables(environ: Mapping[str, str], cmake: Iterable[Path]) -> dict[str, str]:
    """The variables that can reach a compile: the known ones, and those that CMake files name."""
    asked: set[str] = set()
    for file in cmake:
        try:
            asked |= set(ASKED.findall(file.read_text(encoding="utf-8", errors="replace")))
        except OSError:
            continue
    return {
        name: value
        for name, value in environ.items()
        if name in {*OBEYED, *ALSO_OBEYED} or name in asked or name.startswith(PREFIXES)
    }


def identify_left_out(
    definitions: Mapping[str, str], digests: Digests
) -> tuple[tuple[str, str | None], ...]:
    """What a build for one checkpoint does without: the files that tell CMake, by content."""
    if LEAVING_OUT not in definitions:
        return ()
    files = written_in(Path(definitions[LEAVING_OUT]).parent)
    return tuple((file.name, digests.of(file)) for file in files)
