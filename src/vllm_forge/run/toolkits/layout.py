"""Where each file of a package belongs in an ordinary prefix, and which files a build needs.

An ordinary prefix is NVIDIA's own: bin, nvvm, include, lib64, lib64/stubs. What compiling and
linking vLLM reads of it was found by configuring and linking 0.10.1 and 0.28.0 against it:
CUDA::cudart, CUDA::cuda_driver and (torch 2.14) CUDA::nvrtc are all that is linked. Of the
mathematical libraries only headers are read (torch's ATen/cuda/CUDAContext.h): they run from
torch's wheels.
"""

import re
from pathlib import Path, PurePosixPath
from typing import Final

PROGRAMS: Final = frozenset(
    {
        *("nvcc", "nvcc.profile", "cudafe++", "ptxas", "fatbinary", "nvlink", "bin2c"),
        *("cuobjdump", "cu++filt", "nvprune", "__nvcc_device_query"),
    }
)
LIBRARIES: Final = re.compile(
    r"(libcudart|libnvToolsExt|libnvrtc)\.so(\.[\d.]+)?|lib(cudart_static|cudadevrt|culibos)\.a"
)
UNNEEDED_HEADERS: Final = re.compile(r"(npp|nvjpeg|cuda-gdb/|Openacc/|Openmp/|fortran_)")
UNNEEDED_STUBS: Final = re.compile(r"lib(npp|nvjpeg)")

PROFILE: Final = """\
TOP                = $(_HERE_)/..
NVVMIR_LIBRARY_DIR = $(TOP)/nvvm/libdevice
PATH              += $(TOP)/nvvm/bin:$(_HERE_):
INCLUDES          += "-I$(TOP)/include" $(_SPACE_)
LIBRARIES         =+ $(_SPACE_) "-L$(TOP)/lib64/stubs" "-L$(TOP)/lib64"
"""
CCCL: Final = 'SYSTEM_INCLUDES   += "-isystem" "$(TOP)/include/cccl" $(_SPACE_)\n'


def render_profile(prefix: Path) -> str:
    """bin/nvcc.profile as NVIDIA's 12.4 has it, as 13.0 has it where CUB lies in include/cccl.

    For packages whose own profile names the folders of a distribution.
    """
    return PROFILE + (CCCL if (prefix / "include" / "cccl").is_dir() else "")


def place_of_nvidia(member: str) -> str | None:
    """Place of a file packed as NVIDIA packs it, below one or more folders of a package's own.

    >>> place_of_nvidia("cuda_nvcc-linux-x86_64-12.4.131-archive/nvvm/bin/cicc")
    'nvvm/bin/cicc'
    >>> place_of_nvidia("cuda_cudart-linux-x86_64-12.4.127-archive/lib/stubs/libcuda.so")
    'lib64/stubs/libcuda.so'
    >>> place_of_nvidia("targets/x86_64-linux/include/cuda.h")
    'include/cuda.h'
    >>> place_of_nvidia("nvidia/cu13/bin/ptxas")
    'bin/ptxas'
    >>> place_of_nvidia("libcublas-linux-x86_64-12.4.5.8-archive/lib/libcublas_static.a") is None
    True
    """
    parts = PurePosixPath(member).parts
    roots = ("bin", "nvvm", "nvvm-next", "include", "lib", "lib64")
    start = next((at for at, part in enumerate(parts) if part in roots), None)
    if start is None:
        return None
    root, *rest = parts[start:]
    return _if_needed("lib64" if root == "lib" else root, rest)


def place_of_debian(member: str) -> str | None:
    """Place of a file of Debian's packages, which spread the toolkit over the system's folders.

    >>> place_of_debian("./usr/lib/nvidia-cuda-toolkit/bin/cicc")
    'nvvm/bin/cicc'
    >>> place_of_debian("./usr/lib/nvidia-cuda-toolkit/libdevice/libdevice.10.bc")
    'nvvm/libdevice/libdevice.10.bc'
    >>> place_of_debian("./usr/lib/x86_64-linux-gnu/stubs/libcuda.so")
    'lib64/stubs/libcuda.so'
    >>> place_of_debian("./usr/bin/nvcc") is None  # a script for the system's own places
    True
    """
    match PurePosixPath(member).parts:
        case ("usr", "lib", "nvidia-cuda-toolkit", "bin", "cicc"):
            return "nvvm/bin/cicc"
        case ("usr", "lib", "nvidia-cuda-toolkit", "bin", ("nvcc" | "crt") as name, *rest):
            return _if_needed("bin", [name, *rest])
        case ("usr", "lib", "nvidia-cuda-toolkit", "libdevice", *rest):
            return _if_needed("nvvm", ["libdevice", *rest])
        case ("usr", "bin", name) if name != "nvcc":
            return _if_needed("bin", [name])
        case ("usr", "include", *rest):
            return _if_needed("include", rest)
        case ("usr", "lib", triplet, *rest) if triplet.endswith("-linux-gnu"):
            return _if_needed("lib64", rest)
        case _:
            return None


def _if_needed(root: str, rest: list[str]) -> str | None:
    inner = "/".join(rest)
    match root, rest:
        case "bin", [name]:
            wanted = name in PROGRAMS
        case "bin", ["crt", _]:
            wanted = True
        case (("nvvm" | "nvvm-next"), ["bin" | "libdevice", _]):
            wanted = True
        case "include", [_, *_]:
            wanted = UNNEEDED_HEADERS.match(inner) is None
        case "lib64", [name]:
            wanted = LIBRARIES.fullmatch(name) is not None
        case "lib64", ["stubs", name]:
            wanted = name.endswith(".so") and UNNEEDED_STUBS.match(name) is None
        case _:
            wanted = False
    return f"{root}/{inner}" if wanted else None
