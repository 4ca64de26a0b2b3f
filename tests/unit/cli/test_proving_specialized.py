"""A specialized environment says for whom it is, and is held to what it left out."""

from dataclasses import replace
from pathlib import Path

import pytest

from vllm_forge.cli.proving import prove_specialized
from vllm_forge.records.built import Built
from vllm_forge.records.check import CheckStatus
from vllm_forge.records.specialization import MadeFor

NINJA = """\
build CMakeFiles/_C.dir/csrc/a.cu.o: CUDA_COMPILER___C_unscanned_Release {tree}/csrc/a.cu || order
  FLAGS = -gencode arch=compute_89,code=sm_89
build _C.abi3.so: CXX_MODULE_LIBRARY_LINKER___C_Release CMakeFiles/_C.dir/csrc/a.cu.o | lib.so
"""


@pytest.fixture
def built(tmp_path: Path) -> Built:
    tree = tmp_path / "tree"
    (tmp_path / "build.ninja").write_text(NINJA.format(tree=tree))
    return Built(
        *("tiny", "0.10.1", "cuda", str(tree), str(tmp_path / "env"), "python", "2.7.1", "12.6"),
        gpu_arch=("8.9",),
        extensions=(),
        targets=(),
        build=str(tmp_path),
        made_for=MadeFor(("LlamaForCausalLM",), "modelopt", ("FP8",), ("8.9",)),
        left_out={"_C": ("csrc/b.cu", "csrc/c.cu"), "_moe_C": ("csrc/d.cu",)},
    )


def test_it_says_for_whom_it_is(built: Built) -> None:
    [check] = prove_specialized(built)
    assert check.status is CheckStatus.PASSED
    assert check.detail == (
        "for LlamaForCausalLM with FP8 read by modelopt on compute capability 8.9 alone; "
        "sources left out: 2 of _C, 1 of _moe_C"
    )


def test_what_was_to_be_left_out_is_not_compiled(built: Built) -> None:
    [check] = prove_specialized(replace(built, left_out={"_C": ("csrc/a.cu",)}))
    assert check.status is CheckStatus.FAILED
    assert check.detail.startswith(f"{built.tree}/csrc/a.cu was to be left out")


def test_a_common_build_says_nothing(built: Built) -> None:
    assert prove_specialized(replace(built, made_for=None, left_out={})) == ()
