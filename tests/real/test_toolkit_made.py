"""Toolkits made for real, then proven by compiling CUB code for two GPUs.

They are kept in $VLLM_FORGE_TEST_CACHE/home, else ~/.cache/vllm-forge-tests/home.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from vllm_forge.probe import read_machine
from vllm_forge.probe.cuda_tables import read_cuda_table
from vllm_forge.records.decision import Chosen
from vllm_forge.records.sourced import Sourced
from vllm_forge.resolve.toolkit import choose_toolkit
from vllm_forge.run.process import run_command
from vllm_forge.run.toolkits.driver_stub import make_driver_stub, parse_driver_functions
from vllm_forge.run.toolkits.proof import choose_host
from vllm_forge.verify.fatbin import read_gpu_code

pytestmark = [pytest.mark.network, pytest.mark.compile, pytest.mark.slow]
CACHE = Path(os.environ.get("VLLM_FORGE_TEST_CACHE") or Path.home() / ".cache" / "vllm-forge-tests")
HOME = CACHE / "home"
KERNEL = """
#include <cub/cub.cuh>
#include <cublas_v2.h>
#include <cuda/std/limits>
__global__ void sum(const float *in, float *out) {
  using Reduce = cub::BlockReduce<float, 128>;
  __shared__ typename Reduce::TempStorage kept;
  float all = Reduce(kept).Sum(in[threadIdx.x]);
  if (threadIdx.x == 0) *out = all;
}
"""
DRIVER = """
#include <cuda.h>
int main() { return cuInit(0) == CUDA_ERROR_STUB_LIBRARY ? 0 : 1; }
"""
MADE = {"debian": ("12.4", "12.4.131"), "pypi": ("13.0", "13.0.88")}


def forge(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vllm_forge", *words, "--home", str(HOME)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module", params=MADE)
def made(request: pytest.FixtureRequest) -> tuple[Path, str]:
    """(prefix, nvcc's version) by the command line."""
    if request.param == "debian" and run_command(["apt-get", "--version"]).code != 0:
        pytest.skip("apt-get is not here")
    wish, nvcc = MADE[request.param]
    said = forge("toolkit", "add", wish, "--provider", request.param, "--json")
    assert said.returncode == 0, said.stderr
    document = json.loads(said.stdout)
    assert document["status"] in {"made", "present"}
    return Path(document["path"]), nvcc


def test_it_compiles_cub_code_for_both_gpus(made: tuple[Path, str], tmp_path: Path) -> None:
    prefix, nvcc = made
    host = choose_host(nvcc, read_machine(run_command, home=HOME).compilers or ())
    if isinstance(host, str):
        pytest.skip(host)
    (tmp_path / "sum.cu").write_text(KERNEL)
    gpus = ("-gencode=arch=compute_89,code=sm_89", "-gencode=arch=compute_90,code=sm_90")

    flags = ("-shared", "-Xcompiler=-fPIC", "-cudart=shared", "-ccbin", host.path, *gpus)
    files = ("-o", tmp_path / "sum.so", tmp_path / "sum.cu")

    said = run_command([prefix / "bin/nvcc", *flags, *files], timeout=300)

    assert said.code == 0, said.stderr
    codes = read_gpu_code(tmp_path / "sum.so", kernels=True)
    assert {code.architecture for code in codes if "sum" in str(code.kernels)} == {"89", "90"}


def test_the_plan_takes_it(made: tuple[Path, str]) -> None:
    prefix, nvcc = made
    machine = read_machine(run_command, home=HOME, environ={"PATH": os.environ["PATH"]})

    choice = choose_toolkit(nvcc, machine, Sourced(None, ""), ("8.9",), read_cuda_table())

    assert isinstance(choice, Chosen)
    assert prefix in {Path(each.path) for each in machine.toolkits or ()}
    assert choice.value.nvcc == nvcc


def test_its_receipt_names_every_package_by_digest(made: tuple[Path, str]) -> None:
    receipt = json.loads((made[0] / "forge-toolkit.json").read_text())

    assert receipt["nvcc"] == made[1]
    assert all(re.fullmatch(r"[0-9a-f]{64}", each["sha256"]) for each in receipt["archives"])
    files = [path for path in made[0].rglob("*") if path.is_file() and not path.is_symlink()]
    assert receipt["files"] == len(files) - 1  # the receipt itself


def test_nothing_unneeded_is_kept(made: tuple[Path, str]) -> None:
    kept = sum(path.lstat().st_size for path in made[0].rglob("*") if path.is_file())
    assert kept < 400_000_000
    assert {path.name for path in made[0].glob("lib64/*.a")} == {
        "libcudart_static.a",
        "libcudadevrt.a",
        "libculibos.a",
    }


def test_the_drivers_stub_links_and_is_never_loaded(made: tuple[Path, str], tmp_path: Path) -> None:
    prefix, _ = made
    stub = prefix / "lib64/stubs/libcuda.so"
    (tmp_path / "a.c").write_text(DRIVER)
    words: list[str | Path] = [
        "gcc",
        f"-I{prefix}/include",
        "-o",
        tmp_path / "a",
        tmp_path / "a.c",
        stub,
    ]
    assert run_command(words).code == 0

    said = run_command([tmp_path / "a"], env={"LD_LIBRARY_PATH": str(stub.parent)})
    assert said.code == 127
    assert "libcuda.so.1" in said.stderr
    # By the soname it would be found; only then does it answer, and says what it is.
    (tmp_path / "libcuda.so.1").symlink_to(stub)
    assert run_command([tmp_path / "a"], env={"LD_LIBRARY_PATH": str(tmp_path)}).code == 0


def test_our_stub_has_what_nvidias_has(tmp_path: Path) -> None:
    """All but OpenGL's, EGL's, VDPAU's, the profiler's and the debugger's, of other headers."""
    prefix = HOME / "toolkits" / "cuda-12.4.131-debian"
    if not prefix.is_dir():
        pytest.skip("needs the toolkit of the test before")
    (tmp_path / "include").mkdir()
    (tmp_path / "include/cuda.h").symlink_to(prefix / "include/cuda.h")
    make_driver_stub(tmp_path, "gcc", run_command)

    def exported(library: Path) -> set[str]:
        lines = run_command(["nm", "-D", "--defined-only", library]).stdout.splitlines()
        return {line.split()[-1] for line in lines if " T cu" in line}

    ours = exported(tmp_path / "lib64/stubs/libcuda.so")
    theirs = exported(prefix / "lib64/stubs/libcuda.so")
    missing = {
        name for name in theirs - ours if not re.search(r"GL|Egl|VDPAU|^cudbg|^cuProfiler", name)
    }
    assert missing == set()
    assert len(ours) > 500
    assert ours == set(parse_driver_functions((prefix / "include/cuda.h").read_text()))
