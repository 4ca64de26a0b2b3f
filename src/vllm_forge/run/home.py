"""Which folder is the home."""

import os
from collections.abc import Sequence
from pathlib import Path


def choose_home(given: Path | None) -> Path:
    """--home, else VLLM_FORGE_HOME, else the platform's cache folder."""
    if given is not None:
        return given.expanduser().absolute()
    named = os.environ.get("VLLM_FORGE_HOME")
    if named:
        return Path(named).expanduser().absolute()
    import platformdirs  # noqa: PLC0415 -- a named home needs it not, and must be quick

    return platformdirs.user_cache_path("vllm-forge")


def home_from_arguments(arguments: Sequence[str]) -> Path:
    """The home that a command line means, before it is parsed."""
    for place, word in enumerate(arguments):
        if word.startswith("--home="):
            return choose_home(Path(word.removeprefix("--home=")))
        if word == "--home" and place + 1 < len(arguments):
            return choose_home(Path(arguments[place + 1]))
    return choose_home(None)
