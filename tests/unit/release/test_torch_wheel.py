"""What a torch wheel says of itself."""

import io
import zipfile

import pytest

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.release import read_torch_wheel
from vllm_forge.release.torch_wheel import TorchWheel, parse_torch_wheel

METADATA = """\
Metadata-Version: 2.1
Name: torch
Version: 2.6.0
Requires-Python: >=3.9.0
Requires-Dist: filelock
Requires-Dist: triton==3.2.0; platform_system == "Linux"

The description: cuda = '9.9'
"""
CUDA = "__version__ = '2.6.0+cu124'\ndebug = False\ncuda: Optional[str] = '12.4'\nhip = None\n"
OLD = b"\x00_ZN3c105ErrorC1ENS_14SourceLocationESs\x00"
NEW = b"\x00_ZN3c105ErrorC1ENS_14SourceLocationENSt7__cxx1112basic_stringIcE\x00"


@pytest.mark.parametrize(
    ("version_py", "config", "cuda", "abi"),
    [
        (CUDA, 'set(TORCH_CXX_FLAGS "-D_GLIBCXX_USE_CXX11_ABI=0")', "12.4", False),
        (CUDA, 'set(TORCH_CXX_FLAGS "-D_GLIBCXX_USE_CXX11_ABI=1")', "12.4", True),
        (CUDA.replace("'12.4'", "None"), "", None, None),
        ("cuda = '13.0'\n", "", "13.0", None),
    ],
)
def test_fields(version_py: str, config: str, cuda: str | None, *, abi: bool | None) -> None:
    requires = ("filelock", 'triton==3.2.0; platform_system == "Linux"')
    assert parse_torch_wheel(METADATA, version_py, config) == TorchWheel(
        ">=3.9.0", requires, cuda, abi
    )


@pytest.mark.parametrize(
    ("library", "abi"), [(OLD, False), (NEW, True), (OLD + NEW, True), (b"", None)]
)
def test_a_silent_cmake_package_leaves_it_to_the_library(
    library: bytes, *, abi: bool | None
) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr("torch-2.8.0.dist-info/METADATA", METADATA)
        wheel.writestr("torch/version.py", CUDA)
        wheel.writestr("torch/lib/libc10.so", library)
    assert read_torch_wheel(file, origin="torch.whl").cxx11_abi is abi


def test_another_wheel() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr("numpy-2.dist-info/METADATA", "Name: numpy\n")
    with pytest.raises(Problem, match=r"numpy\.whl is not a torch wheel") as caught:
        read_torch_wheel(file, origin="numpy.whl")
    assert caught.value.exit_code is ExitCode.BAD_INPUT
