"""What is no version is a usage error, in one line; what is one is left to the rules."""

from typing import Any

import pytest

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.wishes import Wishes
from vllm_forge.resolve.spelling import check_spelling


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"torch": "banana"}, "--torch banana: 'banana' is not a torch version"),
        ({"torch": ">=2.6"}, "--torch >=2.6: '>=2.6' is not a torch version"),
        ({"cuda": "12.4.x"}, "--cuda 12.4.x: '12.4.x' is not a CUDA version"),
        ({"cuda": "cu124"}, "--cuda cu124: 'cu124' is not a CUDA version"),
        ({"python": "py3"}, "--python py3: 'py3' is not a Python version or a path"),
        ({"gpu_arch": "sm_89"}, "--gpu-arch sm_89: 'sm_89' is not a compute capability"),
        ({"gpu_arch": "89"}, "--gpu-arch 89: '89' is not a compute capability"),
    ],
)
def test_a_slip_is_said(wish: dict[str, Any], said: str) -> None:
    with pytest.raises(Problem) as caught:
        check_spelling(Wishes(**wish))
    assert caught.value.message == said
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(
    "wish",
    [
        {"torch": "2.7.1+cu126", "cuda": "12.4.131", "python": "3.12"},
        {"torch": "2.8.0.dev20250601", "cuda": "12", "python": "./bin/python"},
        {"gpu_arch": "8.9,9.0a"},
        {},
    ],
)
def test_what_means_something_passes(wish: dict[str, Any]) -> None:
    check_spelling(Wishes(**wish))
