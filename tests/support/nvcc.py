"""A real nvcc: the user's, one that is installed, else one made from the distribution's packages.

The made one is kept in $VLLM_FORGE_TEST_CACHE/home, else ~/.cache/vllm-forge-tests/home.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vllm_forge.probe import read_machine
from vllm_forge.run.process import run_command

CACHE = Path(os.environ.get("VLLM_FORGE_TEST_CACHE") or Path.home() / ".cache" / "vllm-forge-tests")


@pytest.fixture(scope="session")
def nvcc() -> Path:
    """The nvcc below a toolkit's prefix."""
    home = CACHE / "home"
    toolkits = read_machine(run_command, home=home).toolkits
    if not toolkits:
        add = [sys.executable, "-m", "vllm_forge", "toolkit", "add", "12.4", "--home", str(home)]
        said = subprocess.run(add, capture_output=True, check=False, text=True)
        assert said.returncode == 0, said.stderr
        toolkits = read_machine(run_command, home=home).toolkits
    assert toolkits
    return Path(toolkits[0].path) / "bin" / "nvcc"
