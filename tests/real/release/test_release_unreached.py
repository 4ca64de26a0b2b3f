"""What a Llama in FP8 cannot reach, in published trees; and what it must keep."""

import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from vllm_forge.records.specialization import MadeFor, Reach
from vllm_forge.release import Question, SourceTree, configure, read_unreached

pytestmark = [pytest.mark.network, pytest.mark.slow]


@cache
def read(tree: Path, nvcc: str, capability: str, architecture: str, kind: str = "FP8") -> Reach:
    method = "modelopt" if kind == "FP8" else "modelopt_fp4"
    made_for = MadeFor((architecture,), method, (kind,), (capability,))
    question = Question(nvcc=nvcc, architectures=(capability,))
    return read_unreached(SourceTree(tree), question, made_for)


def names(reach: Reach) -> set[str]:
    return {Path(file).name for group in reach.left_out for file in group.files}


def test_0_10_1_on_ada(trees: Callable[[str], Path]) -> None:
    reach = read(trees("0.10.1"), "12.4.131", "8.9", "LlamaForCausalLM")
    gone = names(reach)
    assert {"selective_scan_fwd.cu", "gptq_marlin.cu", "topk_softmax_kernels.cu"} <= gone
    kept = {"scaled_mm_entry.cu", "scaled_mm_c2x.cu", "layernorm_kernels.cu", "cache_kernels.cu"}
    assert not kept & gone, "FP8 on 8.9 multiplies with scaled_mm_c2x"
    assert all(group.because and group.source for group in reach.left_out)


def test_0_28_0_on_hopper(trees: Callable[[str], Path]) -> None:
    gone = names(read(trees("0.28.0"), "13.0.88", "9.0", "LlamaForCausalLM"))
    assert {"scaled_mm_c2x.cu", "machete_pytorch.cu", "selective_scan_fwd.cu"} <= gone
    kept = {"scaled_mm_c3x_sm90.cu", "scaled_mm_sm90_fp8.cu", "merge_attn_states.cu"}
    assert not kept & gone


@pytest.mark.parametrize(
    ("version", "nvcc", "kept"),
    [
        ("0.10.1", "12.4.131", {"fe2m1f"}),
        ("0.20.0", "13.0.88", {"fe2m1f", "fe4m3fn"}),  # its FP8 classes are reached as well
    ],
)
def test_marlin_is_kept_for_the_weight_types_that_are_passed(
    trees: Callable[[str], Path], version: str, nvcc: str, kept: set[str]
) -> None:
    """NVFP4 on a GPU without FP4 units: Marlin unpacks it."""
    reach = read(trees(version), nvcc, "8.9", "LlamaForCausalLM", "NVFP4")
    gone = {file for group in reach.left_out for file in group.files}
    question = Question(nvcc=nvcc, architectures=("8.9",))
    targets = configure(SourceTree(trees(version)), question).targets
    left = {one for target in targets for one in target.sources} - gone
    kernels = {Path(one).stem for one in left if "marlin" in one and "kernel_b" in one}
    types = {word.removeprefix("k") for one in kernels for word in one.split("_")}
    assert types & {"u4", "u4b8", "u8b128", "fe2m1f", "fe4m3fn"} == kept
    assert {"gptq_marlin.cu", "marlin.cu"} & {Path(one).name for one in left}


def test_a_tree_that_was_built_before_answers_as_a_new_one(
    trees: Callable[[str], Path], tmp_path: Path
) -> None:
    """An earlier build wrote Marlin's kernels into it, here for another GPU: they are no code."""
    new, built = trees("0.20.0"), tmp_path / "built"
    shutil.copytree(new, built)
    [script] = built.glob("csrc/**/quantization/**/marlin/generate_kernels.py")
    subprocess.run(
        ["uv", "run", "--no-project", "--with", "jinja2", script, "9.0"],
        cwd=script.parent,
        check=True,
    )
    assert list(script.parent.glob("*kernel_*.cu"))
    asked = ("13.0.88", "8.9", "LlamaForCausalLM", "NVFP4")
    assert read(built, *asked) == read(new, *asked)


def test_a_mixture_of_experts_keeps_its_kernels(trees: Callable[[str], Path]) -> None:
    gone = names(read(trees("0.10.1"), "12.4.131", "8.9", "MixtralForCausalLM"))
    assert not {"topk_softmax_kernels.cu", "moe_align_sum_kernels.cu"} & gone
    assert "selective_scan_fwd.cu" in gone


def test_an_architecture_the_tree_does_not_have_is_not_guessed(
    trees: Callable[[str], Path],
) -> None:
    reach = read(trees("0.10.1"), "12.4.131", "8.9", "NobodysForCausalLM")
    assert not reach.left_out
    assert reach.unknown == "no model of this tree is NobodysForCausalLM"
