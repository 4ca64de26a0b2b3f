"""Whether a toolkit is whole: the parts that a vLLM build reads, looked for one by one."""

from pathlib import Path
from typing import Final

PARTS: Final = (
    ("bin/nvcc",),
    ("bin/nvcc.profile", "../etc/nvcc.profile"),
    ("bin/cudafe++",),
    ("bin/ptxas",),
    ("bin/fatbinary",),
    ("bin/nvlink",),
    ("nvvm/bin/cicc",),
    ("nvvm/libdevice/libdevice.10.bc",),
    ("include/cuda.h",),
    ("include/cuda_runtime.h",),
    ("include/crt/host_config.h",),
    ("include/cub/cub.cuh", "include/cccl/cub/cub.cuh"),
    ("include/thrust/version.h", "include/cccl/thrust/version.h"),
    ("include/cuda/std/version", "include/cccl/cuda/std/version"),
    ("include/cublas_v2.h",),
    ("include/cusparse.h",),
    ("include/cusolverDn.h",),
    ("include/curand_kernel.h",),
    ("include/nvtx3/nvToolsExt.h",),
    ("lib64/libcudart.so", "lib/libcudart.so"),
    ("lib64/libcudart_static.a", "lib/libcudart_static.a"),
    ("lib64/libcudadevrt.a", "lib/libcudadevrt.a"),
    ("lib64/libnvrtc.so", "lib/libnvrtc.so", "lib64/stubs/libnvrtc.so", "lib/stubs/libnvrtc.so"),
    ("lib64/stubs/libcuda.so", "lib/stubs/libcuda.so"),
)
"""Each with its other places. The stub is what CUDA::cuda_driver links where no driver is."""


def missing_parts(prefix: Path) -> tuple[str, ...]:
    """Parts that are not there, or are links to nowhere, or empty; () for a whole toolkit."""
    roots = (prefix, *sorted(prefix.glob("targets/*-linux")))
    return tuple(
        names[0]
        for names in PARTS
        if not any(_is_there(root / name) for root in roots for name in names)
    )


def _is_there(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
