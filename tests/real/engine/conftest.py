"""A vLLM that was built from source: the one named, else one built for this session."""

import os
from pathlib import Path

import pytest

from vllm_forge.records.built import Built
from vllm_forge.records.home import Home
from vllm_forge.run.built import find_built

DATA = Path(__file__).parents[2] / "data" / "checkpoints"


@pytest.fixture(scope="session")
def built(request: pytest.FixtureRequest) -> Built:
    """What VLLM_FORGE_TEST_HOME built last, else `built_home`'s: vLLM 0.10.1 for the CPU."""
    named = os.environ.get("VLLM_FORGE_TEST_HOME")
    home = Path(named) if named else Path(request.getfixturevalue("built_home"))
    return find_built(None, Home(home))


@pytest.fixture(scope="session")
def export() -> Path:
    """ModelOpt 0.33.1's FP8 export of a two-layer Llama: no quant_method, with a tokenizer."""
    return DATA / "export-0.33.1-fp8"


@pytest.fixture(scope="session")
def without_tokenizer() -> Path:
    """ModelOpt 0.46's NVFP4 export of the same size."""
    return DATA / "exports-0.46" / "nvfp4"
