"""A CMake package `Torch` of our own.

torch's CUDA wheels make their TorchConfig.cmake demand a whole CUDA toolkit, even for vLLM's CPU
target, which never touches one. This one offers what that target uses: the interface target
`torch`, `TORCH_LIBRARIES`, and the C++ ABI torch was built with.
"""

from pathlib import Path

from vllm_forge.run.environment import TorchProof
from vllm_forge.run.files import write_atomically

TEMPLATE = """\
# Written by vllm-forge for torch {version}; given to vLLM's CMake as Torch_DIR.
set(Torch_VERSION "{public}")
set(TORCH_FOUND TRUE)
set(TORCH_INSTALL_PREFIX "{folder}")
set(TORCH_INCLUDE_DIRS "{folder}/include" "{folder}/include/torch/csrc/api/include")
set(TORCH_CXX_FLAGS "-D_GLIBCXX_USE_CXX11_ABI={abi}")
if(NOT TARGET torch)
  add_library(torch INTERFACE IMPORTED)
  target_include_directories(torch SYSTEM INTERFACE ${{TORCH_INCLUDE_DIRS}})
  target_link_libraries(torch INTERFACE
    "{folder}/lib/libc10.so" "{folder}/lib/libtorch_cpu.so" "{folder}/lib/libtorch.so")
  target_compile_definitions(torch INTERFACE _GLIBCXX_USE_CXX11_ABI={abi})
endif()
set(TORCH_LIBRARIES torch)
"""


def write_torch_config(folder: Path, proof: TorchProof) -> Path:
    """Write the package into `folder` and return it, ready for -DTorch_DIR."""
    write_atomically(
        folder / "TorchConfig.cmake",
        TEMPLATE.format(
            version=proof.version,
            public=proof.version.split("+")[0],
            folder=proof.folder,
            abi=int(proof.cxx11_abi),
        ),
    )
    return folder
