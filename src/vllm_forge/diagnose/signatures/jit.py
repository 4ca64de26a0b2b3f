"""Kernels compiled at run time."""

from vllm_forge.diagnose.advice import install
from vllm_forge.diagnose.blocks import Kind
from vllm_forge.diagnose.signature import Scene, Signature, acts, kinds, pattern


def jit_fix(scene: Scene) -> tuple[str, ...]:
    home = scene.clues.get("cuda_home")
    return (
        "Look for the first `error:` above: it is the compiler's.",
        (
            f"{home or '$CUDA_HOME'}/bin/nvcc --version; g++ --version; python -c 'import torch;"
            f" print(torch.version.cuda)'"
            "   # the three must fit"
        ),
        (
            "Remove the half-made cache (~/.cache/flashinfer, ~/.cache/torch_extensions,"
            " ~/.triton/cache) and try again."
        ),
    )


SIGNATURES = (
    Signature(
        "jit-failed",
        kinds(Kind.EXCEPTION, Kind.NINJA, Kind.COMPILER, Kind.SHELL),
        pattern(r"(?:^|\s|\")(?P<bad>:+(?P<path>/\S*)/bin/nvcc)\b"),
        "CUDA_HOME begins with a colon, so kernels compiled at run time call {bad}, which does"
        " not exist.",
        acts("export CUDA_HOME={path}   # one path, no colon"),
    ),
    Signature(
        "jit-failed",
        kinds(Kind.COMPILER, Kind.EXCEPTION),
        pattern(r"nvcc fatal\s+: Unknown option '(?P<option>[^']+)'"),
        "nvcc does not know {option}, with which kernels are compiled at run time: the toolkit at"
        " CUDA_HOME is older than this FlashInfer or torch expects.",
        acts(
            "nvcc --version; echo $CUDA_HOME   # the toolkit that is used",
            "Point CUDA_HOME at a newer CUDA toolkit (12.8 or newer), the one of"
            " torch.version.cuda at best.",
        ),
    ),
    Signature(
        "jit-failed",
        kinds(Kind.EXCEPTION),
        pattern(
            r"Failed to find C compiler\. Please specify via CC|InvalidCxxCompiler: No working"
            r" C\+\+ compiler found"
            r"|No such file or directory: '(?P<compiler>(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+)"
            r"(?:-\d+)?)'"
        ),
        "Kernels are compiled at run time, and there is no C or C++ compiler.",
        lambda _, scene: (
            install(scene, "build-essential", "gcc gcc-c++ make"),
            "export CC=gcc CXX=g++",
        ),
    ),
    Signature(
        "jit-failed",
        kinds(Kind.EXCEPTION, Kind.COMPILER),
        pattern(
            r"fatal error: (?P<header>cuda\w*\.h|curand\w*\.h|cublas\w*\.h|nv/\S+|cuda/std/\S+"
            r"|nvrtc\.h|crt/\S+|cooperative_groups\.h)"
        ),
        "A kernel compiled at run time finds no {header}: the toolkit at CUDA_HOME is not"
        " complete.",
        lambda _, scene: jit_fix(scene),
        also=pattern(
            r"flashinfer|cached_ops|torch_extensions|tvm_ffi|tilelang|deep_gemm|/tmp/tmp|\.cuda\.o"
        ),
    ),
    Signature(
        "jit-failed",
        kinds(Kind.EXCEPTION),
        pattern(
            r"Ninja build failed|Error building extension '(?P<extension>\w+)'|CppCompileError"
            r"|C\+\+ compile error"
            r"|NVCC compilation failed|JIT compilation failed|nvrtc: error|NVRTC_ERROR_\w+|Failed"
            r" to compile kernel"
            r"|CalledProcessError: Command '\['[^']*(?:gcc|cc|clang)', '/tmp/\w+/(?:main"
            r"|cuda_utils|\w+)\.c'"
            r"|triton\.\S*CompilationError|tilelang\S* .*[Cc]ompil\w+ .*failed|Error compiling"
            r" objects for extension"
        ),
        "A kernel that is compiled at run time (or an extension built by torch's helpers) did not"
        " compile;"
        " the compiler's own message names the reason.",
        lambda _, scene: jit_fix(scene),
        yields_to=frozenset({"*"}),
    ),
)
