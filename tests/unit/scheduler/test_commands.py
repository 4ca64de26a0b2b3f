"""What a command line says of its compile."""

import pytest

from vllm_forge.run.scheduler.command import parse_command

NVCC = (
    "/usr/local/cuda/bin/nvcc -forward-unknown-to-host-compiler -ccbin=/usr/bin/g++ -DPy -I/e/"
    "site-packages/torch/include --options-file CMakeFiles/_C.dir/includes_CUDA.rsp -O2 -g -DNDEBUG"
    " -std=c++17 -Xcompiler=-fPIC {} -x cu -c /t/csrc/quantization/scaled_mm_c2x.cu"
    " -o CMakeFiles/_C.dir/csrc/quantization/scaled_mm_c2x.cu.o"
)


@pytest.mark.parametrize(
    ("words", "architectures", "threads", "flags"),
    [
        ("", 1, 1, "-O2 -g"),
        ("-gencode arch=compute_89,code=sm_89", 1, 1, "-O2 -g 89"),
        ("--generate-code=arch=compute_90a,code=[sm_90a] --threads=4", 1, 4, "-O2 -g 90a"),
        (
            "-gencode arch=compute_80,code=sm_80 -gencode arch=compute_89,code=compute_89 -t 2",
            2,
            2,
            "-O2 -g 80,89",
        ),
        ("-arch=sm_75 -t0", 1, 1, "-O2 -g 75"),
    ],
)
def test_nvcc(words: str, architectures: int, threads: int, flags: str) -> None:
    one = parse_command(NVCC.format(words).split())
    assert (one.kind, one.target, one.file) == (
        "nvcc",
        "_C",
        "csrc/quantization/scaled_mm_c2x.cu",
    )
    assert one.source == "/t/csrc/quantization/scaled_mm_c2x.cu"
    assert (one.architectures, one.threads, one.flags) == (architectures, threads, flags)
    assert one.torch
    assert one.cache is None


@pytest.mark.parametrize(
    ("words", "name", "kind"),
    [
        ("g++ -O2 -c a.cpp -o CMakeFiles/_C.dir/csrc/cpu/a.cpp.o", "_C/csrc/cpu/a.cpp", "c++"),
        ("/usr/bin/x86_64-linux-gnu-g++-12 -c a.cc -o a.o", "a/a.cc", "c++"),
        ("clang -c a.c -o a.o", "a/a.c", "c"),
        ("gcc -c a.cpp -o a.o", "a/a.cpp", "c++"),
        (
            "g++ -c /f/csrc/fa/b.cpp -o fa/CMakeFiles/_vllm_fa2_C.dir/root/f/csrc/fa/b.cpp.o",
            "_vllm_fa2_C/csrc/fa/b.cpp",
            "c++",
        ),
        ("g++ -fPIC -shared -Wl,-soname,_C.so -o _C.abi3.so a.o b.o -ltorch", "_C/link", "link"),
        ("python3 generate.py --all", "python3", "other"),
        ("?", "?", "other"),
    ],
)
def test_names_and_kinds(words: str, name: str, kind: str) -> None:
    one = parse_command(words.split())
    assert (one.name, one.kind) == (name, kind)


@pytest.mark.parametrize(
    ("words", "cache"),
    [("/usr/bin/ccache sccache g++ -c a.cpp", "sccache"), ("ccache g++ -c a.cpp", "ccache")],
)
def test_a_cache_in_front_is_seen_and_looked_behind(words: str, cache: str) -> None:
    one = parse_command(words.split())
    assert (one.cache, one.kind) == (cache, "c++")


def test_dependency_flags_cost_nothing_and_architecture_flags_do() -> None:
    words = ["g++", "-mavx512f", "-MD", "-MT", "a.o", "-MF", "a.d", "-O3", "-O3", "-c", "a.cpp"]
    assert parse_command(words).flags == "-O3 -mavx512f"
