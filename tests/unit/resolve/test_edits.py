"""What a saved file asks for."""

from pathlib import PurePath

import pytest

from vllm_forge.resolve.edits import Edit, judge_edit


@pytest.mark.parametrize(
    ("name", "asks_for"),
    [
        ("csrc/cpu/utils.cpp", Edit.COMPILE),
        ("csrc/quantization/w8a8/a.cuh", Edit.COMPILE),
        ("csrc/new_kind.cppm", Edit.CONFIGURE),
        ("csrc/moe/marlin_moe_wna16/generate_kernels.py", Edit.CONFIGURE),
        ("csrc/cutlass_extensions/CMakeLists.txt", Edit.CONFIGURE),
        ("CMakeLists.txt", Edit.CONFIGURE),
        ("cmake/utils.cmake", Edit.CONFIGURE),
        ("csrc/README.md", Edit.NOTHING),
        ("csrc/.clang-format", Edit.NOTHING),
        ("vllm/entrypoints/llm.py", Edit.PYTHON),
        ("vllm/model_executor/configs/E=1.json", Edit.PYTHON),
        ("vllm/_C.abi3.so", Edit.NOTHING),
        ("vllm/._C.abi3.so.half", Edit.NOTHING),
        ("pyproject.toml", Edit.PLAN),
        ("setup.py", Edit.PLAN),
        ("requirements/cpu.txt", Edit.PLAN),
        ("tests/test_a.py", Edit.NOTHING),
        ("README.md", Edit.NOTHING),
        ("", Edit.NOTHING),
    ],
)
def test_by_its_name(name: str, asks_for: Edit) -> None:
    assert judge_edit(PurePath(name)) is asks_for
