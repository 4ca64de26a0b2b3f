"""Edits of a CMake file, by what they amount to."""

import pytest

from vllm_forge.release.cmake_difference import added_sources

BEFORE = """\
project(vllm)
set(VLLM_EXT_SRC
  "csrc/cache_kernels.cu"
  "csrc/ops.cpp")
define_gpu_extension_target(_C SOURCES ${VLLM_EXT_SRC} COMPILE_FLAGS ${VLLM_GPU_FLAGS})
"""


@pytest.mark.parametrize(
    ("old", "new", "added"),
    [
        ("project(vllm)", "# words\nproject( vllm )  # more", set()),
        ('"csrc/ops.cpp"', '"csrc/ops.cpp"\n  "csrc/mine/new.cu"', {"csrc/mine/new.cu"}),
        ('"csrc/ops.cpp"', "csrc/ops.cpp csrc/mine/new.cu", {"csrc/mine/new.cu"}),
        ('"csrc/ops.cpp"', '"csrc/other.cpp"', None),
        ('  "csrc/ops.cpp"', "", None),
        ('"csrc/ops.cpp"', '"csrc/ops.cpp" "${MORE}"', None),
        ("${VLLM_GPU_FLAGS}", "${VLLM_GPU_FLAGS} -O0", None),
        ("project(vllm)", "project(vllm)\nset(X 1)", None),
        ("project(vllm)", "project(vllm", None),
    ],
)
def test_one_edit(old: str, new: str, added: set[str] | None) -> None:
    assert old in BEFORE
    assert added_sources(BEFORE, BEFORE.replace(old, new)) == added
