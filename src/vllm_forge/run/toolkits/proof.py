"""What a made toolkit has to show before it gets its name: all parts, its version, one kernel."""

from pathlib import Path
from typing import Final

from vllm_forge.probe.cuda_tables import read_cuda_table
from vllm_forge.probe.toolkit import parse_nvcc_version
from vllm_forge.probe.toolkit_parts import missing_parts
from vllm_forge.records.doors import RunCommand
from vllm_forge.records.machine import Compiler
from vllm_forge.records.problem import Problem
from vllm_forge.resolve.advice import gcc_to_install
from vllm_forge.resolve.cuda_facts import host_compiler_limit, parts_of
from vllm_forge.resolve.doctor_cuda import OLDEST_GCC
from vllm_forge.run.files import write_atomically

KERNEL: Final = """\
#include <cuda_runtime.h>
__global__ void twice(float *x) { x[threadIdx.x] *= 2.f; }
void run(float *x) { twice<<<1, 32>>>(x); }
"""
ARCHITECTURE: Final = "sm_80"
"""Every toolkit from 11.1 to 13 generates code for it."""
SECONDS: Final = 120.0


def prove_parts(prefix: Path) -> None:
    """Raises:
    Problem: exit 1 naming what the packages did not bring.
    """  # noqa: D205 -- that is all there is to say
    missing = missing_parts(prefix)
    if missing:
        raise Problem(
            "the packages do not make a whole toolkit",
            causes=tuple(f"{part} is missing" for part in missing),
        )


def prove_version(prefix: Path, nvcc: str, run: RunCommand) -> None:
    """Run its nvcc.

    Raises:
        Problem: exit 1 when it does not run, or is another version than offered.
    """
    said = run([prefix / "bin" / "nvcc", "--version"])
    found = parse_nvcc_version(said.stdout)
    if found is None:
        last = (said.stderr or said.stdout).strip().splitlines()[-1:]
        raise Problem("the unpacked nvcc does not run", causes=tuple(last))
    if found[1] != nvcc:
        raise Problem(f"the unpacked nvcc is {found[1]}, offered was {nvcc}")


def choose_host(
    nvcc: str, compilers: tuple[Compiler, ...], offered: tuple[int, ...] | None = None
) -> Compiler | str:
    """The g++ that this nvcc accepts, the plain one first; else what to install.

    `offered` are the major versions that the distribution has, None: unknown.
    """
    limit = host_compiler_limit(nvcc, read_cuda_table())
    newest = None if limit.value is None else limit.value.gcc
    there = [each for each in compilers if each.name.startswith("g++")]
    fit = [each for each in there if newest is None or parts_of(each.version)[0] <= newest]
    if not fit:
        wanted = "g++" if newest is None else gcc_to_install(offered, OLDEST_GCC, newest)
        what = ", ".join(f"{each.path} is {each.version}" for each in there) or "no g++ is here"
        act = f"apt-get install {wanted}" if wanted else "this distribution has none of them"
        return f"{what}, nvcc {nvcc} takes g++ up to {newest or 'any'}: {act}"
    return max(fit, key=lambda each: (each.name == "g++", parts_of(each.version)))


def prove_compile(prefix: Path, host: Compiler, run: RunCommand) -> None:
    """Compile one kernel: host passes, cicc, ptxas and fatbinary find each other and the headers.

    Raises:
        Problem: exit 1 with nvcc's first errors.
    """
    source = prefix / "forge-proof.cu"
    made = source.with_suffix(".o")
    write_atomically(source, KERNEL)
    nvcc = prefix / "bin" / "nvcc"
    command: list[str | Path] = [
        nvcc,
        "-c",
        f"-arch={ARCHITECTURE}",
        "-ccbin",
        host.path,
        "-o",
        made,
        source,
    ]
    said = run(command, timeout=SECONDS)
    compiled = made.exists()
    source.unlink()
    made.unlink(missing_ok=True)
    if said.code != 0 or not compiled:
        raise Problem(
            f"the unpacked nvcc compiles nothing with {host.path}",
            causes=tuple((said.stderr or said.stdout).strip().splitlines()[:4]),
        )
