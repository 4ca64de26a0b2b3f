"""The C++ compiler beneath nvcc: too new, too old, not one it accepts."""

from vllm_forge.diagnose.advice import (
    compiler_at_most,
    install,
)
from vllm_forge.diagnose.blocks import Kind
from vllm_forge.diagnose.signature import Names, Scene, Signature, acts, kinds, pattern

DIAGNOSTIC = kinds(Kind.COMPILER, Kind.CMAKE)


def newest_gcc_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    newest = int(names["newest"])
    path = compiler_at_most(scene, newest)
    lines = [] if path else [install(scene, f"g++-{newest}", f"gcc-toolset-{newest}-gcc-c++")]
    path = path or f"g++-{newest}"
    c_path = path.replace("g++", "gcc")
    lines.append(
        f"export CC={c_path} CXX={path} CUDAHOSTCXX={path} NVCC_PREPEND_FLAGS='-ccbin {path}'"
    )
    lines.append("Remove the build folder: CMake keeps the compiler it found first.")
    return tuple(lines)


def oldest_gcc_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    oldest = names["oldest"].split(".", maxsplit=1)[0]
    return (
        install(scene, f"g++-{oldest}", f"gcc-toolset-{oldest}-gcc-c++"),
        f"export CC=gcc-{oldest} CXX=g++-{oldest} CUDAHOSTCXX=g++-{oldest}",
        "Remove the build folder: CMake keeps the compiler it found first.",
    )


SIGNATURES = (
    Signature(
        "host-compiler-unsupported",
        DIAGNOSTIC,
        pattern(
            r"unsupported GNU version! gcc versions later than (?P<newest>\d+) are not supported"
        ),
        "g++ is newer than {newest}, the newest that this nvcc accepts as host compiler.",
        newest_gcc_fix,
    ),
    Signature(
        "host-compiler-unsupported",
        kinds(Kind.COMPILER, Kind.CMAKE),
        pattern(
            r"unsupported clang version! clang version must be less than (?P<below>\d+)"
            r"|-- unsupported (?P<other>clang|Intel|pgc\+\+|ICC)[^!]*!"
        ),
        "clang is not a host compiler that this nvcc accepts.",
        lambda _, scene: (
            install(scene, "g++", "gcc-c++"),
            "export CC=gcc CXX=g++ CUDAHOSTCXX=g++",
        ),
    ),
    Signature(
        "host-compiler-unsupported",
        kinds(Kind.EXCEPTION),
        pattern(
            r"current installed version of (?:\S*/)?(?P<name>\S+) \((?P<have>[\d.]+)\) is"
            r" greater than the maximum required version by CUDA [\d.]+.*?\(>=[\d.]+,"
            r" <(?P<equal>=?)(?P<bound>\d+)"
        ),
        "{name} {have} is newer than this CUDA toolkit accepts as host compiler.",
        lambda names, scene: newest_gcc_fix(
            {"newest": str(int(names["bound"]) - (not names["equal"]))},
            scene,
        ),
    ),
    Signature(
        "host-compiler-unsupported",
        kinds(Kind.CMAKE, Kind.EXCEPTION),
        pattern(
            r"GCC >= (?P<oldest>[\d.]+) is required to build vLLM(?:.|\n)*?\(found "
            r"(?P<have>[\d.]+)\)"
            r"|requires gcc/g\+\+ >= (?P<x86>[\d.]+)"
        ),
        "g++ {have} is older than this source needs ({oldest}{x86} or newer).",
        lambda names, scene: oldest_gcc_fix({"oldest": names["oldest"] or names["x86"]}, scene),
    ),
    Signature(
        "host-compiler-unsupported",
        kinds(Kind.EXCEPTION),
        pattern(
            r"current installed version of (?:\S*/)?(?P<name>\S+) \((?P<have>[\d.]+)\) is"
            r" less than the minimum required version by CUDA.*?, <(?P<equal>=?)(?P<bound>\d+)"
        ),
        "{name} {have} is older than this CUDA toolkit accepts as host compiler.",
        lambda names, scene: newest_gcc_fix(
            {"newest": str(int(names["bound"]) - (not names["equal"]))}, scene
        ),
    ),
    Signature(
        "host-compiler-unsupported",
        kinds(Kind.COMPILER),
        pattern(
            r"C\+\+(?P<standard>\d\d)(?: or later)?(?: compatible compiler is required to use"
            r" (?:PyTorch|ATen)| to"
            r" compile PyTorch)|unrecognized command[- ]line option '?[\u2018']?-std=(?:c"
            r"|gnu)\+\+(?P<option>17|1z|20|2a|23|2b)"
        ),
        "The C++ compiler is too old for C++{standard}{option}, which torch's headers need.",
        lambda _, scene: oldest_gcc_fix({"oldest": "11"}, scene),
    ),
    Signature(
        "host-compiler-unsupported",
        kinds(Kind.COMPILER),
        pattern(
            r"unrecognized command[- ]line option '?[\u2018']?(?P<option>-m(?:avx512\w+|amx-\w+))"
        ),
        "g++ is too old for {option}, which vLLM's CPU target compiles with.",
        lambda _, scene: oldest_gcc_fix({"oldest": "12"}, scene),
    ),
    Signature(
        "host-compiler-unsupported",
        kinds(Kind.COMPILER),
        pattern(r"Value 'c\+\+(?P<standard>17|20)' is not defined for option 'std'"),
        "This nvcc is too old for C++{standard}.",
        acts(
            "nvcc --version; echo $CUDA_HOME   # C++17 came with CUDA 11.0, C++20 with CUDA 12.0",
            "Point CUDA_HOME at the toolkit of torch.version.cuda.",
        ),
    ),
    Signature(
        "host-compiler-unsupported",
        kinds(Kind.COMPILER),
        pattern(
            r"/(?:include/c\+\+|gcc/[\w-]+)/(?P<have>\d+)[\d.]*/\S+?[(:]\d+.*"
            r"(?:parameter packs not expanded with|identifier \"_\w+\" is undefined)"
        ),
        "nvcc cannot read the headers of g++ {have}: that compiler is newer than the toolkit.",
        lambda names, scene: newest_gcc_fix({"newest": str(int(names["have"]) - 1)}, scene),
    ),
    Signature(
        "host-compiler-unsupported",
        kinds(Kind.COMPILER),
        pattern(
            r"identifier \"(?P<name>__builtin_\w+|_Float\d+x?|__Poly\w+|__is_\w+|__SVE\w+)\" is"
            r" undefined"
        ),
        "nvcc does not know {name}, which this system's compiler or C library headers use: they are"
        " newer than the toolkit.",
        acts(
            "nvcc --version; g++ --version; which -a nvcc   # one toolkit, and a g++ of its time",
            "Compile with a newer CUDA toolkit, or with an older g++ (NVCC_PREPEND_FLAGS='-ccbin"
            " g++-11').",
        ),
    ),
    Signature(
        "host-compiler-unsupported",
        kinds(Kind.COMPILER),
        pattern(
            r"math_functions\.h.*exception specification is incompatible with that of previous"
            r" function \"(?P<name>\w+)\""
        ),
        "The toolkit's math_functions.h and this glibc both declare {name}: glibc 2.41 or newer"
        " with a"
        " CUDA toolkit made before it.",
        acts(
            "Compile with a newer CUDA toolkit whose documentation lists this distribution,",
            "or in a container with an older glibc (Ubuntu 22.04 or 24.04).",
        ),
    ),
)
