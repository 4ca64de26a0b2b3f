"""Marlin's weight types: known where every reached call names one, else none is left out."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from vllm_forge.release.reaching.python_names import Definition, Names
from vllm_forge.release.reaching.python_tests import Known
from vllm_forge.release.reaching.python_walk import Cuts, Walk
from vllm_forge.release.reaching.weight_types import read_weight_types
from vllm_forge.release.source_tree import SourceTree

HEADER = """\
static inline constexpr auto kFE2M1f = ScalarType::float_(2, 1, true);
static inline constexpr auto kUint4b8 = kU4B8;
static inline constexpr auto kFloat4_e2m1f = kFE2M1f;
"""
WRAPPERS = """\
def marlin_gemm(a, b_q_type, n):
    return torch.ops._C.marlin_gemm(a, b_q_type.id, n)
"""

UINT4B8 = "ops.marlin_gemm(1, scalar_types.uint4b8, 2)"
TINY = Path(__file__).parents[2] / "trees" / "tiny"
Types = Callable[[str], dict[str, str] | None]


@pytest.fixture
def types(tmp_path: Path) -> Types:
    """What is passed when `use` of vllm/layer.py, with this body, is reached."""

    def read(body: str) -> dict[str, str] | None:
        files = {
            "csrc/core/scalar_type.hpp": HEADER,
            "vllm/__init__.py": "",
            "vllm/_custom_ops.py": WRAPPERS,
            "vllm/layer.py": f"from vllm import _custom_ops as ops\n\ndef use(kind):\n    {body}\n",
        }
        shutil.copytree(TINY, tmp_path, dirs_exist_ok=True)
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        tree = SourceTree(tmp_path)
        cuts = Cuts(frozenset(), None, frozenset(), ())
        walk = Walk(Names(tree), Known({}, (89,)), cuts, lambda *_: None)
        walk.reach(Definition("vllm.layer", "use"), "the test")
        walk.reach(Definition("vllm._custom_ops", "marlin_gemm"), "its wrapper calls with a number")
        found = read_weight_types(tree, walk)
        return None if found is None else dict(found.passed)

    return read


@pytest.mark.parametrize(
    ("body", "passed"),
    [
        ("ops.marlin_gemm(1, b_q_type=scalar_types.float4_e2m1f)", {"fe2m1f"}),
        (UINT4B8, {"u4b8"}),
        (f"{UINT4B8}, ops.marlin_gemm(1, scalar_types.float4_e2m1f)", {"u4b8", "fe2m1f"}),
    ],
)
def test_a_type_that_is_named(types: Types, body: str, passed: set[str]) -> None:
    found = types(body)
    assert found is not None
    assert set(found) == passed
    assert set(found.values()) == {"vllm/layer.py:4"}


@pytest.mark.parametrize(
    "body",
    [
        "ops.marlin_gemm(1, kind, 2)",
        "ops.marlin_gemm(*kind)",
        "ops.marlin_gemm(*kind, scalar_types.uint4b8)",
        "ops.marlin_gemm(1, scalar_types.of_tomorrow)",
        "return ops.marlin_gemm",
        f"{UINT4B8} or torch.ops._C.marlin_gemm(1, 77, 2)",
        "pass",
    ],
)
def test_one_that_is_known_at_run_time_only(types: Types, body: str) -> None:
    assert types(body) is None
