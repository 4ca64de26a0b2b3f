"""One shared object: what it is (`inspect`), and whether it fits an environment (`verify`)."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from vllm_forge.records.binary import BinaryFacts, CodeKind, GpuCode, TorchAbi
from vllm_forge.records.check import Check
from vllm_forge.records.doors import RunCommand
from vllm_forge.verify.architectures import architectures, prove_architectures
from vllm_forge.verify.elf import parse_extension, read_extension
from vllm_forge.verify.elf_file import open_file
from vllm_forge.verify.elf_libraries import (
    find_torch_libraries,
    prove_needed,
    prove_versions,
    read_system_libraries,
)
from vllm_forge.verify.fatbin import parse_gpu_code, read_gpu_code
from vllm_forge.verify.operators import parse_operators
from vllm_forge.verify.symbols import prove_symbols_of_all
from vllm_forge.verify.torch_abi import judge_cxx_abi, judge_torch_abi, torch_symbols


def read_binary(path: Path) -> BinaryFacts:
    """Everything `inspect` tells of a shared object.

    Raises:
        Problem: exit 5, when `path` is not there or not an ELF shared object.
    """
    with open_file(path) as file:
        return parse_binary(file, str(path))


def parse_binary(file: IO[bytes], name: str) -> BinaryFacts:
    """As `read_binary`; `name` stands for the file in messages and in the record."""
    extension = parse_extension(file, name)
    codes = parse_gpu_code(file, name)
    torch_abi = judge_torch_abi(extension)
    machine = [code for code in codes if code.kind is CodeKind.ELF]
    return BinaryFacts(
        name=name,
        size=file.seek(0, 2),
        machine=extension.machine,
        module=extension.module,
        abi3=extension.abi3,
        torch_abi=torch_abi,
        cxx_abi=judge_cxx_abi(extension),
        torch_symbols=sum(1 for _ in torch_symbols(extension)),
        needed=extension.needed,
        floors=extension.floors,
        architectures=tuple(f"sm_{one}" for one in architectures(machine)),
        ptx=tuple(
            f"compute_{one}"
            for one in architectures([code for code in codes if code.kind is CodeKind.PTX])
        ),
        sources=len({code.container for code in codes}),
        covered=count_covered(machine),
        operators=() if torch_abi is TorchAbi.NONE else parse_operators(file, name),
    )


def count_covered(machine: Sequence[GpuCode]) -> dict[str, int]:
    """Architecture → the number of compiled sources that have it."""
    counted = Counter(one for one, _ in {(code.architecture, code.container) for code in machine})
    return {f"sm_{one}": counted[one] for one in architectures(machine)}


def prove_binaries(
    paths: Sequence[Path],
    site_packages: Path,
    wanted: Sequence[str],
    run: RunCommand,
    driver: Path | None = None,
) -> tuple[Check, ...]:
    """Symbols, needed libraries, the system's versions, and code for the `wanted` capabilities.

    `wanted` is empty for a build without a GPU. `driver` is libcuda, or a toolkit's stub of it,
    which exports the same names. One group of checks for each of `paths`.

    Raises:
        Problem: exit 5, when a file is not a readable ELF shared object.
    """
    extensions = [read_extension(path) for path in paths]
    libraries = find_torch_libraries(site_packages)
    system = read_system_libraries(run, extensions[0].machine) if extensions else {}
    needed = dict.fromkeys(name for extension in extensions for name in extension.needed)
    given = [*libraries, *(system[name] for name in needed if name in system)]
    if driver is not None and driver.exists():
        given.append(driver)
    symbols = prove_symbols_of_all(extensions, given, run)
    checks: list[Check] = []
    for path, extension, check in zip(paths, extensions, symbols, strict=True):
        checks += [
            check,
            prove_needed(extension, libraries, system),
            prove_versions(extension, system),
        ]
        if wanted:
            checks.append(prove_architectures(path.name, read_gpu_code(path), wanted))
    return tuple(checks)
