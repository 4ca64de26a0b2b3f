"""Which folder is the home."""

import os
from pathlib import Path

import platformdirs


def choose_home(given: Path | None) -> Path:
    """--home, else VLLM_FORGE_HOME, else the platform's cache folder."""
    if given is not None:
        return given.expanduser().absolute()
    named = os.environ.get("VLLM_FORGE_HOME")
    if named:
        return Path(named).expanduser().absolute()
    return platformdirs.user_cache_path("vllm-forge")
