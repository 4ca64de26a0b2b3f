"""The compilers of a build, by what they are and not by where they lie.

A toolkit or a compiler may be replaced in place, and a compiler obeys variables besides its command
line. ninja, CMake and the compiler caches notice neither.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from vllm_forge.records.doors import RunCommand

PARTS: Final = ("cc1", "cc1plus", "collect2", "as", "ld")
"""What g++ starts; where each lies it says itself."""

NVCC_PARTS: Final = (
    *("bin/nvcc", "bin/nvcc.profile", "bin/cudafe++", "bin/ptxas", "bin/fatbinary", "bin/nvlink"),
    *("bin/crt/link.stub", "nvvm/bin/cicc", "nvvm/libdevice/libdevice.10.bc"),
    *(f"lib/nvidia-cuda-toolkit/bin/{name}" for name in ("nvcc", "cicc", "cudafe++", "ptxas")),
)
"""Below the prefix; the last are Debian's, whose bin/nvcc is a script."""

OBEYED: Final = (
    *("CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "CUDAFLAGS", "CUDAHOSTCXX", "CUDAARCHS"),
    *("CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "COMPILER_PATH"),
    *("GCC_EXEC_PREFIX", "NVCC_PREPEND_FLAGS", "NVCC_APPEND_FLAGS", "NVCC_CCBIN"),
    "SOURCE_DATE_EPOCH",
)
"""Variables that change what CMake, gcc and nvcc make of the same command line."""


def find_programs(compiler: str, nvcc: str | None, run: RunCommand) -> tuple[str, ...]:
    """The host compiler's parts and nvcc's, each by its real path."""
    return tuple(dict.fromkeys(_programs(compiler, nvcc, run)))


def identify(programs: Mapping[str, str | None], variables: str) -> str:
    """One digest of all: programs by the digests of their contents, and `render_obeyed`'s text."""
    lines = [f"{program} {digest}\n" for program, digest in sorted(programs.items())]
    return hashlib.sha256("".join([variables, *lines]).encode()).hexdigest()


def is_gnu(programs: Iterable[str]) -> bool:
    """Whether the host compiler is gcc's."""
    return any(Path(program).name in {"cc1", "cc1plus"} for program in programs)


def render_obeyed(environ: Mapping[str, str]) -> str:
    r"""Those of the variables that are set.

    >>> render_obeyed({"CPATH": "/opt/include", "HOME": "/root"})
    'CPATH=/opt/include\n'
    """
    return "".join(f"{name}={environ[name]}\n" for name in OBEYED if name in environ)


def _programs(compiler: str, nvcc: str | None, run: RunCommand) -> Iterator[str]:
    found = shutil.which(compiler)
    if found is not None:
        yield os.path.realpath(found)
        for part in PARTS:
            said = run([found, f"-print-prog-name={part}"])
            place = shutil.which(said.stdout.strip()) if said.code == 0 else None
            if place is not None:
                yield os.path.realpath(place)
    if nvcc is not None:
        prefix = Path(nvcc).parent.parent
        yield from (str(prefix / part) for part in NVCC_PARTS if (prefix / part).is_file())
