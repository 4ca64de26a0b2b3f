"""Which sources CMake's build.ninja links into an extension, and for which GPUs."""

from pathlib import Path

from vllm_forge.records.binary import CodeKind
from vllm_forge.records.compiled import CompiledSource
from vllm_forge.verify.ninja_file import parse_compiled, parse_gencode, read_compiled

NINJA = """\
build cmake_object_order_depends_target__C: phony || .

build CMakeFiles/_C.dir/csrc/bindings.cpp.o: CXX_COMPILER___C_unscanned_Rel /t/bindings.cpp || x
  DEFINES = -DPy_LIMITED_API=3
  FLAGS = -O2 -g
  INCLUDES = -I/t/csrc

build CMakeFiles/_C.dir/csrc/b.cu.o: CUDA_COMPILER___C_unscanned_Rel /t/csrc/b.cu || x
  FLAGS = -O2 -gencode arch=compute_89,code=sm_89 -gencode arch=compute_89,code=sm_89

build CMakeFiles/_C.dir/csrc/a.cu.o: CUDA_COMPILER___C_unscanned_Rel /t/csrc/a.cu || x
  FLAGS = -gencode arch=compute_90a,code=sm_90a -gencode arch=compute_89,code=compute_89

build sub/_C.abi3.so: CXX_MODULE_LIBRARY_LINKER___C_Rel CMakeFiles/_C.dir/csrc/bindings.cpp.o \
CMakeFiles/_C.dir/csrc/b.cu.o CMakeFiles/_C.dir/csrc/a.cu.o | /lib/libtorch.so || x
  LINK_FLAGS = -shared

build _C: phony sub/_C.abi3.so
"""


def test_sources_stand_in_the_linkers_order() -> None:
    assert parse_compiled(NINJA) == {
        "_C.abi3.so": (
            CompiledSource("/t/bindings.cpp", None, "3"),
            CompiledSource("/t/csrc/b.cu", frozenset({(CodeKind.ELF, "89")})),
            CompiledSource(
                "/t/csrc/a.cu", frozenset({(CodeKind.ELF, "90a"), (CodeKind.PTX, "89")})
            ),
        )
    }


def test_nvccs_spellings() -> None:
    both = frozenset({(CodeKind.ELF, "80"), (CodeKind.PTX, "80")})
    assert parse_gencode("-gencode=arch=compute_80,code=[sm_80,compute_80] -O2") == both
    assert parse_gencode('-gencode "arch=compute_80,code=[compute_80,sm_80]"') == both
    assert parse_gencode("-arch=sm_75") == frozenset({(CodeKind.ELF, "75")})
    assert parse_gencode("-O2 -march=x86-64") == frozenset()


def test_a_folder_without_one_says_nothing(tmp_path: Path) -> None:
    assert read_compiled(tmp_path) == {}
