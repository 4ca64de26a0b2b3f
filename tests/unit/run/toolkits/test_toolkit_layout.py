"""Where files of each kind of package land, and which are left out."""

import pytest

from vllm_forge.run.toolkits.layout import place_of_debian, place_of_nvidia

NVCC = "cuda_nvcc-linux-x86_64-12.4.131-archive"


@pytest.mark.parametrize(
    ("member", "place"),
    [
        (f"{NVCC}/bin/nvcc", "bin/nvcc"),
        (f"{NVCC}/bin/crt/link.stub", "bin/crt/link.stub"),
        (f"{NVCC}/nvvm/libdevice/libdevice.10.bc", "nvvm/libdevice/libdevice.10.bc"),
        (f"{NVCC}/LICENSE", None),
        (f"{NVCC}/nvvm/doc/NVVM_IR.pdf", None),
        ("x-archive/lib/libcudart.so.12.4.127", "lib64/libcudart.so.12.4.127"),
        ("x-archive/lib/libcublas.so.12", None),
        ("x-archive/lib/libcublas_static.a", None),
        ("x-archive/lib/stubs/libcublas.so", "lib64/stubs/libcublas.so"),
        ("nvidia/cu13/include/cccl/cub/cub.cuh", "include/cccl/cub/cub.cuh"),
        ("nvidia/cu13/include/nppi.h", None),
        ("nvidia_cublas-13.1.0.3.dist-info/RECORD", None),
        ("targets/x86_64-linux/lib/libcudadevrt.a", "lib64/libcudadevrt.a"),
    ],
)
def test_nvidias_packages(member: str, place: str | None) -> None:
    assert place_of_nvidia(member) == place


@pytest.mark.parametrize(
    ("member", "place"),
    [
        ("./usr/lib/nvidia-cuda-toolkit/bin/nvcc", "bin/nvcc"),
        ("./usr/lib/nvidia-cuda-toolkit/bin/crt/prelink.stub", "bin/crt/prelink.stub"),
        ("./usr/lib/nvidia-cuda-toolkit/bin/g++", None),
        ("./usr/bin/ptxas", "bin/ptxas"),
        ("./usr/bin/nvdisasm", None),
        ("./usr/include/cuda.h", "include/cuda.h"),
        ("./usr/include/cuda/std/detail/libcxx/include/atomic",) * 2,
        ("./usr/lib/aarch64-linux-gnu/libcudart_static.a", "lib64/libcudart_static.a"),
        ("./usr/lib/x86_64-linux-gnu/libcufft_static.a", None),
        ("./usr/lib/cuda/include/cuda.h", None),
        ("./etc/nvcc.profile", None),
    ],
)
def test_debians_packages(member: str, place: str | None) -> None:
    expected = place.removeprefix("./usr/") if place else None
    assert place_of_debian(member) == expected
