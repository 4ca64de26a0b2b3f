"""GPU architectures that an nvcc does not know (any more)."""

import re

from vllm_forge.diagnose.advice import (
    capabilities,
    number,
)
from vllm_forge.diagnose.blocks import Kind
from vllm_forge.diagnose.signature import Names, Scene, Signature, acts, kinds, pattern

FIRST_TOOLKIT = {
    "80": "11.0",
    "86": "11.1",
    "87": "11.4",
    "89": "11.8",
    "90": "11.8",
    "90a": "12.0",
    "100": "12.8",
    "100a": "12.8",
    "101": "12.8",
    "101a": "12.8",
    "120": "12.8",
    "120a": "12.8",
    "100f": "12.9",
    "103": "12.9",
    "103a": "12.9",
    "120f": "12.9",
    "121": "12.9",
    "121a": "12.9",
    "110": "13.0",
    "110a": "13.0",
}
"""The first nvcc that knows an architecture; a test compares it with data/cuda.json."""


LAST_OF_OLD = {"35": "11.8", "37": "11.8"} | dict.fromkeys(
    ("50", "52", "53", "60", "61", "62", "70", "72"), "12.9"
)
"""Architectures that nvcc forgot, and the last toolkit that had them."""
RENAMED = {"101": "11.0", "101a": "11.0a"}
"""CUDA 13.0 gave an architecture another number."""


def dotted(arch: str) -> str:
    """`100a` → `10.0a`, as TORCH_CUDA_ARCH_LIST writes it."""
    match = re.match(r"(\d+)(\d)([a-z]?)$", arch)
    return f"{match[1]}.{match[2]}{match[3]}" if match else arch


def arch_cause(names: Names, scene: Scene) -> str:
    arch = names["arch"]
    nvcc = scene.clues.get("nvcc")
    which = f"nvcc {nvcc}" if nvcc else "This nvcc"
    if arch in RENAMED and nvcc and number(nvcc).major >= number("13").major:
        return f"{which} knows {dotted(arch)} under another number: {RENAMED[arch]}."
    if arch in LAST_OF_OLD:
        return (
            f"{which} no longer compiles for sm_{arch}: CUDA {LAST_OF_OLD[arch]} was the last"
            f" that did."
        )
    if arch in FIRST_TOOLKIT:
        return (
            f"{which} is too old for sm_{arch}: CUDA {FIRST_TOOLKIT[arch]} is the first that"
            f" knows it."
        )
    return f"{which} does not know the GPU architecture {arch}."


def arch_fix(names: Names, scene: Scene) -> tuple[str, ...]:
    arch = names["arch"]
    own = capabilities(scene)
    listed = (
        f'export TORCH_CUDA_ARCH_LIST="{own}"   # this machine\'s GPUs only'
        if own
        else f"export TORCH_CUDA_ARCH_LIST=...   # your GPUs' capabilities, without {dotted(arch)}"
    )
    if arch in LAST_OF_OLD and own != dotted(arch):
        return (listed, f"For sm_{arch} itself: compile with CUDA {LAST_OF_OLD[arch]} or older.")
    if first := FIRST_TOOLKIT.get(arch):
        have = [kit for kit in scene.machine.toolkits or () if number(kit.version) >= number(first)]
        newer = (
            f"export CUDA_HOME={have[0].path}   # CUDA {have[0].version}"
            if have
            else f"Compile with CUDA {first} or newer, and the torch that belongs to it."
        )
        return (newer, listed) if own is None or dotted(arch) in own else (listed, newer)
    return (listed, "nvcc --list-gpu-arch   # what this nvcc knows")


SIGNATURES = (
    Signature(
        "gpu-arch-unsupported",
        kinds(Kind.COMPILER),
        pattern(r"Unsupported gpu architecture '(?:compute|sm)_(?P<arch>\d+[af]?)'"),
        arch_cause,
        arch_fix,
    ),
    Signature(
        "gpu-arch-unsupported",
        kinds(Kind.COMPILER, Kind.EXCEPTION),
        pattern(
            r"Value '(?:compute|sm)_(?P<arch>\d+[af]?)' is not defined for option"
            r"|'sm_(?P<llvm>\d+[af]?)' is not a recognized processor"
        ),
        lambda names, scene: arch_cause({"arch": names["arch"] or names["llvm"]}, scene),
        lambda names, scene: arch_fix({"arch": names["arch"] or names["llvm"]}, scene),
    ),
    Signature(
        "gpu-arch-unsupported",
        kinds(Kind.COMPILER, Kind.EXCEPTION),
        pattern(
            r"Instruction '(?P<instruction>[^']+)' not supported on \.target '(?P<target>sm_"
            r"(?:90|1\d\d))'"
        ),
        "The instruction {instruction} exists only on the architecture-specific target {target}a,"
        " and this is compiled for plain {target}.",
        acts(
            "Name the architecture with its letter: 9.0a, 10.0a, 12.0a in TORCH_CUDA_ARCH_LIST"
            " (FlashInfer: FLASHINFER_CUDA_ARCH_LIST).",
        ),
    ),
    Signature(
        "gpu-arch-unsupported",
        kinds(Kind.EXCEPTION, Kind.CMAKE),
        pattern(r"Unknown CUDA [aA]rch(?:itecture)?(?: Name)? \(?(?P<arch>[\d.]+[af]?)\)?"),
        "This torch's build helpers do not know the GPU architecture {arch} in"
        " TORCH_CUDA_ARCH_LIST.",
        lambda names, scene: (
            arch_fix({"arch": names["arch"].replace(".", "")}, scene)[0],
            "or a newer torch, which knows it.",
        ),
    ),
    Signature(
        "gpu-arch-unsupported",
        kinds(Kind.CMAKE),
        pattern(
            r"No supported CUDA architectures; the build would produce(?:.|\n)*?"
            r"supported: (?P<supported>[\d.;a-z]+)"
        ),
        "None of the requested GPU architectures is among those that this vLLM and this nvcc can"
        " compile: {supported}.",
        acts(
            'export TORCH_CUDA_ARCH_LIST="..."   # your GPU\'s capability, out of {supported}',
            "A GPU newer than the list needs a newer CUDA toolkit (12.8 for capability 10.0 and"
            " 12.0).",
        ),
    ),
    Signature(
        "gpu-arch-unsupported",
        kinds(Kind.EXCEPTION),
        pattern(
            r"No supported CUDA architectures found for major versions (?P<major>\[[\d, ]+\])"
            r"|SM (?P<family>\d+\.x) requires CUDA >= (?P<wanted>[\d.]+\d)"
        ),
        "The toolkit at CUDA_HOME is too old to compile kernels for this GPU {major}{family} at"
        " run time.",
        lambda names, _: (
            (
                f"Point CUDA_HOME at CUDA {names['wanted'] or '12.9'} or newer: kernels are"
                f" compiled"
                f" with it."
            ),
            "nvcc --version; echo $CUDA_HOME; nvidia-smi --query-gpu=compute_cap --format=csv",
        ),
    ),
    Signature(
        "gpu-arch-unsupported",
        kinds(Kind.CMAKE),
        pattern(r"CUDA_ARCHITECTURES is (?:empty for target|set to \"native\", but no GPU)"),
        "CMake knows no GPU architecture to compile for: none is set, and no GPU (or no working"
        " nvcc) tells it one.",
        lambda _, scene: (
            (
                f'export TORCH_CUDA_ARCH_LIST="{capabilities(scene) or "..."}"   # of the GPUs'
                " that will run it; plain CMake: -DCMAKE_CUDA_ARCHITECTURES=80;90"
            ),
            "nvcc --version   # an nvcc that CMake cannot run gives the same message",
        ),
    ),
    Signature(
        "gpu-arch-unsupported",
        kinds(Kind.CMAKE),
        pattern(r"arch_bin wasn't set for some reason"),
        "torch's CMake can make nothing of TORCH_CUDA_ARCH_LIST (or of the GPU that it detected).",
        lambda _, scene: (
            (
                f'export TORCH_CUDA_ARCH_LIST="{capabilities(scene) or "8.0;8.6;8.9;9.0"}"   #'
                f" numbers, parted by ;"
            ),
            "Remove the build folder: CMake keeps the list it found first.",
        ),
    ),
)
