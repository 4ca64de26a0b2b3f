"""Two CUDA versions in one build, and compilers that crash."""

from vllm_forge.diagnose.advice import (
    chosen,
    number,
    toolkit_path,
)
from vllm_forge.diagnose.blocks import Kind
from vllm_forge.diagnose.signature import Names, Scene, Signature, acts, kinds, pattern

TORCH_CHANNELS = ("11.8", "12.1", "12.4", "12.6", "12.8", "12.9", "13.0", "13.2")
"""CUDA versions for which torch has wheels; cpp_extension only demands the same major version."""


def channel(nvcc: str) -> str | None:
    """`cu124` for nvcc 12.5: the nearest channel of the same major version that is not newer."""
    same = [
        known for known in TORCH_CHANNELS if known.split(".")[0] == nvcc.split(".", maxsplit=1)[0]
    ]
    older = [known for known in same if number(known) <= number(nvcc)]
    best = (older or same[:1])[-1:]
    return f"cu{best[0].replace('.', '')}" if best else None


def mismatch_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    nvcc, cuda = names["nvcc"], names["cuda"]
    path = toolkit_path(scene, cuda)
    backend = channel(nvcc)
    lines = [
        f"export CUDA_HOME={path}   # the toolkit of the CUDA that torch was built with"
        if path
        else f"Install the CUDA {cuda} toolkit and point CUDA_HOME at it"
    ]
    if backend:
        wanted = chosen(scene, "torch")
        torch = f"torch=={wanted}" if wanted else "torch"
        lines.append(
            f"or a torch built for nvcc's CUDA: uv pip install {torch} --torch-backend={backend}"
        )
    if scene.clues.isolated:
        lines.append(
            "The front end brought its own torch: build with --no-build-isolation so that the"
            " installed one is used."
        )
    return tuple(lines)


def crash_cause(names: Names) -> str:
    what = names["what"] or names["llvm"] or names["ptxas"]
    victim = names["victim"] or "The compiler"
    return f"{victim} itself crashed{f' ({what})' if what else ''}: not an error in the source."


def crash_fix(names: Names) -> tuple[str, ...]:
    victim = names.get("victim") or ""
    cuda = victim in {"cicc", "ptxas", "cudafe++", "fatbinary", "nvlink"}
    newer = (
        "a newer CUDA toolkit of the same major version"
        if cuda
        else "another release of that compiler"
    )
    return (
        (
            "Run the failed command alone, with `ulimit -s unlimited`: a crash that does not come"
            " back was"
            " memory pressure (export MAX_JOBS=2)."
        ),
        f"If it comes back: {newer}.",
    )


SIGNATURES = (
    Signature(
        "nvcc-torch-mismatch",
        kinds(Kind.EXCEPTION),
        pattern(
            r"detected CUDA version \((?P<nvcc>[\d.]+)\) mismatches the version that was used to"
            r" compile"
            r" PyTorch \((?P<cuda>[\d.]+)\)"
        ),
        "nvcc is CUDA {nvcc}, torch was built with CUDA {cuda}: extensions compiled with one do not"
        " load with the other.",
        mismatch_fix,
    ),
    Signature(
        "nvcc-torch-mismatch",
        kinds(Kind.EXCEPTION),
        pattern(
            r"compiled with a version of Cuda that does not match the version used to compile"
            r" Pytorch binaries(?:.|\n)*?compiled with Cuda (?P<cuda>\d+\.\d+)"
        ),
        "torch was built with CUDA {cuda}, and nvcc is of another CUDA.",
        lambda names, scene: mismatch_fix({**names, "nvcc": scene.clues.get("nvcc") or ""}, scene),
    ),
    Signature(
        "nvcc-torch-mismatch",
        kinds(Kind.CMAKE, Kind.PLAIN),
        pattern(
            r"FindCUDA says CUDA version is (?P<nvcc>\d+\.\d+) \(usually determined by nvcc\),"
            r" but the CUDA"
            r" headers say the version is (?P<headers>\d+\.\d+)"
        ),
        "Two CUDA toolkits are mixed: nvcc is {nvcc}, the headers found are {headers}.",
        lambda names, scene: (
            (
                f"export"
                f" CUDA_HOME="
                f"{toolkit_path(scene, names['nvcc']) or '/usr/local/cuda-' + names['nvcc']}"
                " PATH=$CUDA_HOME/bin:$PATH   # one toolkit for both"
            ),
            "Remove the build folder: CMake keeps what it found first.",
        ),
        before=pattern(r"CMake Error|FAILED|[Ee]rror"),
    ),
    Signature(
        "nvcc-torch-mismatch",
        kinds(Kind.CMAKE),
        pattern(r"CUDA::nvToolsExt (?:(?:.|\n)*? )?(?:but the )?target was not found"),
        "This torch's CMake files want CUDA::nvToolsExt, which newer CUDA toolkits no longer"
        " have: the"
        " toolkit is newer than torch's CUDA.",
        acts(
            'python -c "import torch; print(torch.version.cuda)"   # the CUDA that torch was'
            " built with",
            "export CUDA_HOME=/path/of/that/toolkit   # or a newer torch, made for this toolkit",
        ),
    ),
    Signature(
        "nvcc-torch-mismatch",
        kinds(Kind.COMPILER, Kind.EXCEPTION),
        pattern(
            r"ptxas.*Unsupported \.version (?P<want>[\d.]+); current version is '(?P<have>[\d.]+)'"
        ),
        "ptxas is from an older toolkit (PTX {have}) than the compiler that wrote its input (PTX"
        " {want}): two CUDA toolkits are mixed.",
        acts(
            "which -a ptxas nvcc   # the first of each must be of one toolkit",
            "export CUDA_HOME=... PATH=$CUDA_HOME/bin:$PATH; for Triton also"
            " TRITON_PTXAS_PATH=$CUDA_HOME/bin/ptxas",
        ),
    ),
    Signature(
        "compiler-crash",
        kinds(Kind.COMPILER, Kind.SHELL, Kind.KERNEL),
        pattern(
            r"internal compiler error: (?P<what>[^\n]*)"
            r"|'(?P<victim>[\w+.-]+)' died (?:due to signal (?:4|6|7|8|11)\b|with status 0x)[^\n]*"
            r"|(?P<llvm>LLVM ERROR: [^\n]*)|ptxas fatal\s+: (?P<ptxas>Internal error[^\n]*)"
        ),
        lambda names, _: crash_cause(names),
        lambda names, _: crash_fix(names),
        unless=pattern(r"Killed signal|error: Killed|cannot select|out of memory"),
    ),
    Signature(
        "compiler-crash",
        kinds(Kind.SHELL),
        pattern(r"(?m:^Segmentation fault)"),
        "A compiler's process ended with a segmentation fault.",
        lambda names, _: crash_fix(names),
        also=pattern(r"nvcc|\.cu\b|g\+\+|cc1plus|\.o\b"),
    ),
)
