"""Has every kernel that the host code may launch its machine code in the fat binary?

nvcc gives each source a function `__sti____cudaRegisterAll` that hands the run time the mangled
name of every kernel it may launch (and of device variables). A name without code in the source's
fat binary is a launch that fails. Names are found as those of operators are: by the displacements
in that function's machine code (verify/operators.py); kernels are those that are functions of the
host too, nvcc's launching stubs.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from vllm_forge.records.binary import CodeKind, GpuCode
from vllm_forge.records.check import Check, CheckStatus
from vllm_forge.verify.covering import runs
from vllm_forge.verify.elf_file import open_elf, open_file
from vllm_forge.verify.elf_tables import parse_symbols
from vllm_forge.verify.operators import Image, referred_strings

REGISTERS: Final = ("__sti____cudaRegisterAll", "__nv_cudaEntityRegisterCallback")
SHOWN: Final = 6


def read_registered_kernels(path: Path) -> frozenset[str] | None:
    """Mangled names; None where the file's symbols were stripped, or it is no x86-64.

    Raises:
        Problem: exit 5, when `path` is not there or not an ELF object.
    """
    with open_file(path) as file, open_elf(file, str(path)) as elf:
        text = elf.section(".text")
        if elf.machine != "x86_64" or text is None or elf.section(".symtab") is None:
            return None
        constants = Image(
            [
                (section.address, elf.data(section))
                for section in elf.sections
                if section.name.startswith(".rodata")
            ]
        )
        code = Image([(text.address, elf.data(text))])
        functions = [one for one in parse_symbols(elf, ".symtab") if one.function]
        names = {one.name for one in functions}
        registered: set[str] = set()
        for one in functions:
            if any(word in one.name for word in REGISTERS):
                body = code.read(one.address, one.size)
                said = referred_strings(body, one.address, constants)
                registered.update(name.decode(errors="replace") for name, begins in said if begins)
        return frozenset(registered & names)


def prove_registered_kernels(
    name: str, codes: Sequence[GpuCode], registered: frozenset[str] | None, wanted: Sequence[str]
) -> Check:
    """Each registered kernel is in a cubin that a planned GPU runs, or has PTX beside its cubin.

    SKIPPED where names cannot be read: a stripped file, or cubins under zstd.

    Raises:
        Problem: exit 2, when a capability is misspelled.
    """
    check = f"kernels:{name}"
    if registered is None:
        return Check(check, CheckStatus.SKIPPED, "its symbols were stripped: kernels unknown")
    unread = sum(code.kind is CodeKind.ELF and code.kernels is None for code in codes)
    if unread:
        detail = f"the kernels' names in {unread} compressed cubins cannot be read here"
        return Check(check, CheckStatus.SKIPPED, detail)
    runnable: defaultdict[str, bool] = defaultdict(bool)
    running = [any(runs((code.kind, code.architecture), gpu) for gpu in wanted) for code in codes]
    portable = {
        code.container
        for code, fits in zip(codes, running, strict=True)
        if fits and code.kind is CodeKind.PTX
    }
    for code, fits in zip(codes, running, strict=True):
        here = fits or code.container in portable
        for kernel in code.kernels or ():
            runnable[kernel] |= here
    missing = sorted(one for one in registered if not runnable.get(one, False))
    if missing:
        detail = f"{len(missing)} of {len(registered)} kernels have no code for any planned GPU"
        lines = tuple(
            f"{one}: {'for another GPU only' if one in runnable else 'in no cubin'}"
            for one in missing[:SHOWN]
        )
        return Check(check, CheckStatus.FAILED, detail, lines)
    return Check(
        check,
        CheckStatus.PASSED,
        f"all {len(registered)} kernels that it may launch have code for {', '.join(wanted)}",
    )
