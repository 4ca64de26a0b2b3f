from dataclasses import replace
from pathlib import Path

from vllm_forge.records.binary import TorchAbi, WheelFacts
from vllm_forge.show.binary import render_binary, render_wheel
from vllm_forge.verify.binary import read_binary

DEMO = read_binary(Path(__file__).parents[2] / "data" / "elf" / "_demo.abi3.so")

SCREEN = """\
_demo.abi3.so  7.8 KiB, x86_64, imports as _demo, any Python 3 (abi3)
  GPU code  none
  torch     bound to the torch it was compiled against (3 C++ symbols, _GLIBCXX_USE_CXX11_ABI=1)
  needs     libc10.so, libstdc++.so.6, libm.so.6, libgcc_s.so.1, libc.so.6
  system    GLIBC 2.2.5, GLIBCXX 3.4.21, CXXABI 1.3, GCC 3.0
  operators _demo 2, _demo_cache 1; no separate implementation: swap"""


def test_a_shared_object() -> None:
    assert render_binary(replace(DEMO, name="_demo.abi3.so")).plain == SCREEN


def test_gpu_code_with_its_sources() -> None:
    binary = replace(
        DEMO,
        sources=81,
        covered={"sm_80": 48, "sm_90a": 18},
        ptx=("compute_90",),
        torch_abi=TorchAbi.STABLE,
    )
    lines = render_binary(binary).plain.splitlines()
    assert lines[1] == "  GPU code  81 compiled sources: sm_80 (48) sm_90a (18); PTX compute_90"
    assert lines[2] == "  torch     torch's stable ABI only (3 symbols)"


def test_a_wheel() -> None:
    wheel = WheelFacts("vllm", "0.10.1", ("cp38-abi3-linux_x86_64",), "torch==2.7.1", (DEMO, DEMO))
    text = render_wheel(wheel).plain
    assert text.startswith("vllm 0.10.1  cp38-abi3-linux_x86_64\nrequires torch==2.7.1\n\n")
    assert text.count("imports as _demo") == 2
