"""lib64/stubs/libcuda.so: what CUDA::cuda_driver links on a machine without a driver.

NVIDIA's own packages bring one; the wheels of the package index do not. It is made of the names
that cuda.h declares, each answering CUDA_ERROR_STUB_LIBRARY, and its soname is the driver's, so
that at run time the driver is loaded and never the stub.
"""

import re
from pathlib import Path
from typing import Final

from vllm_forge.records.doors import RunCommand
from vllm_forge.records.problem import Problem
from vllm_forge.run.files import write_atomically

STUB: Final = Path("lib64/stubs/libcuda.so")
DECLARED: Final = re.compile(r"\bCUresult\s+CUDAAPI\s+(cu\w+)\s*\(")
RENAMED: Final = re.compile(r"#\s*define\s+cu\w+\s+(cu\w+)[ \t]*$", re.MULTILINE)
PER_THREAD: Final = re.compile(r"#\s*define\s+cu\w+\s+__CUDA_API_PT(DS|SZ)\((cu\w+)\)")
"""Compiled with per-thread default streams, cuda.h asks for NAME_ptds and NAME_ptsz."""

ERROR_STUB_LIBRARY: Final = 34
"""cuda.h, CUDA_ERROR_STUB_LIBRARY."""


def parse_driver_functions(header: str) -> tuple[str, ...]:
    r"""Names a program compiled against cuda.h may ask the driver for.

    >>> text = "#define cuMemAlloc  cuMemAlloc_v2\nCUresult CUDAAPI cuInit(unsigned int Flags);\n"
    >>> parse_driver_functions(text)
    ('cuInit', 'cuMemAlloc_v2')
    """
    names = {*DECLARED.findall(header), *RENAMED.findall(header)}
    for kind, name in PER_THREAD.findall(header):
        names |= {name, f"{name}_pt{kind.lower()}"}
    return tuple(sorted(names))


def make_driver_stub(prefix: Path, compiler: str, run: RunCommand) -> None:
    """Compile the stub with the host's C compiler unless the prefix has one.

    Raises:
        Problem: exit 1 when it cannot be compiled.
    """
    stub = prefix / STUB
    if stub.exists():
        return
    header = (prefix / "include" / "cuda.h").read_text(errors="replace")
    source = stub.with_suffix(".c")
    body = "".join(
        f"int {name}(void) {{ return {ERROR_STUB_LIBRARY}; }}\n"
        for name in parse_driver_functions(header)
    )
    write_atomically(source, body)
    flags = ("-shared", "-fPIC", "-nostdlib", "-Wl,-soname,libcuda.so.1", "-w", "-fno-builtin")
    said = run([compiler, "-x", "c", *flags, "-o", stub, source], timeout=60.0)
    source.unlink()
    if said.code != 0:
        raise Problem(
            f"the stub of the driver's library could not be compiled by {compiler}",
            causes=tuple(said.stderr.splitlines()[:4]),
        )
