"""Published wheels on the configured index, member by member: vLLM's, torch's, and cuobjdump."""

import io
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from vllm_forge.records.binary import CxxAbi, Mismatch, TorchAbi
from vllm_forge.records.check import CheckStatus
from vllm_forge.run.files import write_atomically
from vllm_forge.run.home import choose_home
from vllm_forge.run.index import IndexFile, read_index_settings, read_project
from vllm_forge.run.network import Network
from vllm_forge.run.process import run_command
from vllm_forge.verify.architectures import prove_architectures
from vllm_forge.verify.binary import read_binary
from vllm_forge.verify.elf import read_extension
from vllm_forge.verify.fatbin import read_gpu_code
from vllm_forge.verify.operators import prove_operators, read_operators
from vllm_forge.verify.symbols import prove_symbols, unresolved_symbols
from vllm_forge.verify.wheel import open_remote, open_wheel

pytestmark = pytest.mark.network

NETWORK = Network()
KEPT = choose_home(None) / "downloads" / "test-members"
TORCH_TAG = "cp311-cp311-manylinux.*x86_64"
LOAD = "import ctypes, os, sys; ctypes.CDLL(sys.argv[1], mode=os.RTLD_NOW)"


@cache
def find_wheel(project: str, version: str, tag: str) -> IndexFile:
    settings = read_index_settings(os.environ, run_command)
    return next(
        file
        for file in read_project(project, settings, NETWORK)
        if str(file.version) == version and re.search(tag, file.filename)
    )


def fetch_members(project: str, version: str, tag: str, wanted: str) -> list[Path]:
    """Members whose names match `wanted` whole; kept, so that the second run asks nothing."""
    folder = KEPT / f"{project}-{version}"
    listing = folder / f"{re.sub(r'[^a-z0-9]+', '-', wanted.lower())}.list"
    if not listing.is_file():
        wheel = find_wheel(project, version, tag)
        assert wheel.size is not None
        with open_wheel(open_remote(wheel.url, wheel.size, NETWORK), wheel.filename) as opened:
            names = [name for name in opened.members if re.fullmatch(wanted, name)]
            for name in names:
                output = io.BytesIO()
                opened.copy(name, output)
                write_atomically(folder / name, output.getvalue())
        write_atomically(listing, "\n".join(names))
    return [folder / name for name in listing.read_text().splitlines()]


@pytest.fixture(scope="module")
def cuobjdump() -> Path:
    """NVIDIA's own reader, from the index."""
    (program,) = fetch_members("nvidia-cuda-cuobjdump", "13.5.37", "x86_64", r".*/bin/cuobjdump")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("version", "member", "architectures", "bound"),
    [
        ("0.10.1", "vllm/_flashmla_C.abi3.so", ("sm_90a",), TorchAbi.CXX),
        ("0.10.1", "vllm/cumem_allocator.abi3.so", (), TorchAbi.NONE),
        ("0.33.0", "vllm/_qutlass_C.abi3.so", ("sm_100f",), TorchAbi.STABLE),
        ("0.33.0", "vllm/_flashmla_extension_C.abi3.so", ("sm_90a", "sm_100f"), TorchAbi.STABLE),
        ("0.33.0", "vllm/_deepselect_C.abi3.so", ("sm_100f",), TorchAbi.STABLE),
    ],
)
def test_extensions_of_the_release_wheel(
    cuobjdump: Path, version: str, member: str, architectures: tuple[str, ...], bound: TorchAbi
) -> None:
    (path,) = fetch_members("vllm", version, "x86_64", re.escape(member))
    facts = read_binary(path)
    assert facts.architectures == architectures
    assert facts.torch_abi is bound
    assert facts.abi3
    assert facts.cxx_abi is (CxxAbi.NEW if bound is TorchAbi.CXX else None)
    said = run_command([cuobjdump, path]).stdout
    assert [(code.kind.value, code.architecture) for code in read_gpu_code(path)] == re.findall(
        r"^Fatbin (\w+) code:\n=+\narch = sm_(\w+)$", said, re.MULTILINE
    )
    check = prove_architectures(path.name, read_gpu_code(path), ["8.9"])
    assert check.status is (CheckStatus.FAILED if architectures else CheckStatus.SKIPPED)


def test_operators_of_the_release_wheel() -> None:
    (path,) = fetch_members("vllm", "0.33.0", "x86_64", r"vllm/_deepselect_C\.abi3\.so")
    operators = read_operators(path)
    assert {(one.namespace, one.implementation) for one in operators} == {
        ("deep_select", "CUDA"),
        ("deep_select", "CompositeExplicitAutograd"),
    }
    check = prove_operators(path.name, operators, ["deep_select::topk", "_C::rms_norm"])
    assert check.status is CheckStatus.FAILED
    assert check.evidence == ("_C::rms_norm",)


SOURCE = """
#include <string>
#include <c10/util/Exception.h>
extern "C" void PyInit__demo() { TORCH_CHECK(false, std::string("demo")); }
"""


def compile_against(torch: str, abi: str, folder: Path) -> Path:
    """A tiny extension against the headers and libc10.so of a published torch."""
    headers = fetch_members(
        "torch", torch, "cp311-cp311-manylinux.*x86_64", r"torch/include/c10/.*\.h"
    )
    library = find_libc10(torch)
    root = library.parents[1] / "include"
    assert headers
    (folder / "demo.cpp").write_text(SOURCE)
    output = folder / f"_demo_{torch}_{abi}.abi3.so"
    command = ["g++", "-std=c++17", "-shared", "-fPIC", f"-D_GLIBCXX_USE_CXX11_ABI={abi}", "-w"]
    command += [f"-I{root}", str(folder / "demo.cpp"), str(library), "-o", str(output)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    return output


def find_libc10(torch: str) -> Path:
    (library,) = fetch_members("torch", torch, TORCH_TAG, r"torch/lib/libc10\.so")
    return library


def loads(extension: Path, library: Path) -> bool:
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(extension)],
        capture_output=True,
        check=False,
        env={"LD_LIBRARY_PATH": str(library.parent)},
        text=True,
    )
    assert done.returncode == 0 or "undefined symbol" in done.stderr, done.stderr
    return done.returncode == 0


@pytest.mark.compile
@pytest.mark.parametrize(
    ("compiled", "abi", "installed", "fits"),
    [
        ("2.6.0", "0", "2.6.0", True),
        ("2.6.0", "1", "2.6.0", False),
        ("2.7.1", "1", "2.7.1", True),
        ("2.6.0", "0", "2.7.1", False),
        ("2.7.1", "1", "2.6.0", False),
    ],
)
def test_a_swapped_torch_is_caught_as_the_loader_would(
    tmp_path: Path, compiled: str, abi: str, installed: str, *, fits: bool
) -> None:
    path = compile_against(compiled, abi, tmp_path)
    library = find_libc10(installed)
    extension = read_extension(path)
    check = prove_symbols(extension, [library], run_command)
    assert (check.status is CheckStatus.PASSED) == loads(path, library) == fits
    told = {one.mismatch for one in unresolved_symbols(extension, [library], run_command)}
    assert told == (set() if fits else {Mismatch.OTHER_ABI})
