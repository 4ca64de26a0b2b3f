"""Prove what was built, from the files and by importing them: everything short of a GPU."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vllm_forge.cli.common import environment
from vllm_forge.records.built import Built
from vllm_forge.records.check import Check, CheckStatus
from vllm_forge.records.compiled import CompiledSource
from vllm_forge.records.doors import RunCommand
from vllm_forge.release.registrations import parse_registrations
from vllm_forge.run.driver_stubs import lay_driver_stubs
from vllm_forge.verify.abi import prove_abi, read_python_exports, read_python_version
from vllm_forge.verify.covering import prove_sources
from vllm_forge.verify.cuobjdump import prove_cuobjdump
from vllm_forge.verify.elf import read_extension
from vllm_forge.verify.extensions import (
    Session,
    import_extensions,
    missing_driver,
    prove_extensions,
    prove_registered,
)
from vllm_forge.verify.fatbin import read_gpu_code
from vllm_forge.verify.ninja_file import read_compiled
from vllm_forge.verify.operators import prove_operators, read_operators
from vllm_forge.verify.registered_kernels import (
    prove_registered_kernels,
    read_registered_kernels,
)

SOURCES = ("*.cu", "*.cpp", "*.cc")


@dataclass(frozen=True, slots=True)
class Imports:
    """The checks of importing, and what torch can use here: None where it was not asked."""

    checks: tuple[Check, ...]
    devices: int | None
    why: str | None


def prove_present(built: Built) -> tuple[Check, ...]:
    """Whether each planned target's extension is where the package looks for it."""
    checks: list[Check] = []
    for target in built.targets:
        name = f"target:{target.name}"
        if not target.build:
            checks.append(Check(name, CheckStatus.SKIPPED, f"not built: {target.because}"))
            continue
        found = [path for path in built.extensions if Path(path).name.startswith(f"{target.name}.")]
        if not found and target.name in built.reused:
            found = [built.reused[target.name]]
        there = bool(found) and Path(found[0]).exists()
        checks.append(
            Check(
                name,
                CheckStatus.PASSED if there else CheckStatus.FAILED,
                found[0] if there else f"{(found or [target.name])[0]} is missing",
            )
        )
    return tuple(checks)


def prove_specialized(built: Built) -> tuple[Check, ...]:
    """For whom it was made, and that what those do not reach was not compiled."""
    if built.made_for is None:
        return ()
    compiled = {
        source.path
        for name, sources in compiled_sources(built).items()
        for source in sources
        if name.partition(".")[0] in built.left_out
    }
    gone = {str(Path(built.tree, file)) for files in built.left_out.values() for file in files}
    present = sorted(gone & compiled)
    counted = ", ".join(f"{len(files)} of {name}" for name, files in built.left_out.items())
    said = f"for {built.made_for} alone; sources left out: {counted or 'none'}"
    if present:
        said = f"{present[0]} was to be left out, and build.ninja compiles it"
    return (Check("specialized", CheckStatus.FAILED if present else CheckStatus.PASSED, said),)


def prove_abis(built: Built, present: Sequence[Path]) -> tuple[Check, ...]:
    """How closely each extension is bound to Python and torch."""
    compiled = compiled_sources(built)
    python = read_python_version(Path(built.environment))
    exports = read_python_exports(Path(built.python))
    return tuple(
        prove_abi(
            read_extension(path),
            [one.limited_api for one in compiled.get(path.name, ()) if one.limited_api],
            python,
            exports,
        )
        for path in present
    )


def prove_gpu_code(built: Built, present: Sequence[Path], run: RunCommand) -> tuple[Check, ...]:
    """Source by source against what nvcc was told, and entry by entry against cuobjdump."""
    if not built.gpu_arch:
        return ()
    compiled = compiled_sources(built)
    cuobjdump = Path(built.toolkit or "", "bin", "cuobjdump")
    program = cuobjdump if built.toolkit and cuobjdump.exists() else "cuobjdump"
    checks: list[Check] = []
    for path in present:
        codes = read_gpu_code(path, kernels=True)
        sources = compiled.get(path.name, ())
        if any(source.codes is not None for source in sources):
            checks.append(prove_sources(path.name, codes, sources, built.gpu_arch))
        if codes:
            registered = read_registered_kernels(path)
            checks.append(prove_registered_kernels(path.name, codes, registered, built.gpu_arch))
            checks.append(prove_cuobjdump(path, codes, program, run))
    return tuple(checks)


def prove_imports(built: Built, present: Sequence[Path], run: RunCommand, cwd: Path) -> Imports:
    """Each extension imported for real; where only the driver is missing, with stubs of it."""
    paths = {name: path for path in present if (name := module_of(path, Path(built.tree)))}
    if not paths:
        return Imports((), None, None)
    python = Path(built.python)
    real = import_extensions(python, paths, environ=environment(), run=run, cwd=cwd)
    waiting = {
        name: path for name, path in paths.items() if missing_driver(real.modules[name].error)
    }
    stubbed: Session | None = None
    if waiting and built.toolkit:
        folder = lay_driver_stubs(Path(built.toolkit), cwd / "driver-stubs")
        if folder is not None:
            variables = with_libraries(environment(), folder)
            stubbed = import_extensions(python, waiting, environ=variables, run=run, cwd=cwd)
    seen = {**real.modules, **({} if stubbed is None else stubbed.modules)}
    compiled = compiled_sources(built)
    checks = list(prove_extensions(real, stubbed))
    for name, path in paths.items():
        wanted, elsewhere = expected(built, path, compiled.get(path.name, ()))
        if name in seen and seen[name].error is None:
            checks.append(prove_registered(path.name, seen[name].operators, wanted, elsewhere))
        else:  # what the file alone says
            checks.append(prove_operators(path.name, read_operators(path), wanted))
    return Imports(tuple(checks), real.devices, real.why)


def compiled_sources(built: Built) -> dict[str, tuple[CompiledSource, ...]]:
    """Extension's file name → what build.ninja compiles for it; nothing for reused ones.

    The build folder may know a reused one from an earlier build.
    """
    reused = {target.name for target in built.targets if target.origin == "reuse"}
    compiled = read_compiled(Path(built.build)) if built.build else {}
    return {
        name: sources for name, sources in compiled.items() if name.partition(".")[0] not in reused
    }


def module_of(path: Path, tree: Path) -> str | None:
    """`TREE/vllm/vllm_flash_attn/_vllm_fa2_C.abi3.so` → `vllm.vllm_flash_attn._vllm_fa2_C`.

    None for a library that Python cannot import, or one that lies elsewhere.
    """
    if read_extension(path).module is None or not path.is_relative_to(tree):
        return None
    inside = path.relative_to(tree)
    return ".".join((*inside.parent.parts, path.name.partition(".")[0]))


def with_libraries(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """LD_LIBRARY_PATH with `folder` first."""
    before = environ.get("LD_LIBRARY_PATH")
    return {**environ, "LD_LIBRARY_PATH": f"{folder}:{before}" if before else str(folder)}


def expected(
    built: Built, path: Path, sources: Sequence[CompiledSource]
) -> tuple[tuple[str, ...], Mapping[str, Sequence[str]]]:
    """(operators its sources define for sure, operator → sources left out that implement it)."""
    target = path.name.partition(".")[0]
    compiled = {source.path for source in sources}
    tree = Path(built.tree)
    certain: dict[str, None] = {}
    elsewhere: defaultdict[str, list[str]] = defaultdict(list)
    for pattern in SOURCES:
        for file in sorted((tree / "csrc").rglob(pattern)):
            text = file.read_text(encoding="utf-8", errors="replace")
            if ".def(" not in text and ".impl(" not in text:
                continue
            inside = str(file.relative_to(tree))
            for one in parse_registrations(text, inside, target, built.device):
                if str(file) in compiled:
                    if one.certain and not one.implements:
                        certain[one.operator] = None
                elif one.implements and is_of_device(inside, built.device):
                    elsewhere[one.operator].append(inside)
    return tuple(certain), elsewhere


def is_of_device(source: str, device: str) -> bool:
    """Kernels for the GPU are CUDA files, those for the CPU lie in a folder of their own.

    >>> is_of_device("csrc/cpu/torch_bindings.cpp", "cuda"), is_of_device("csrc/a.cu", "cuda")
    (False, True)
    """
    return source.endswith(".cu") if device == "cuda" else source.startswith("csrc/cpu/")
