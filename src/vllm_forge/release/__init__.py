"""What a vLLM source tree says, read statically: nothing of it is imported or run.

Names are imported when they are asked for: a plan from the shipped tables takes a tenth of a second
less without the reader of trees.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from vllm_forge.release.configuration import configure
    from vllm_forge.release.known import (
        known_releases,
        known_torches,
        read_known_configuration,
        read_known_missing,
        read_known_release,
    )
    from vllm_forge.release.question import Question
    from vllm_forge.release.reaching.left_out import read_unreached
    from vllm_forge.release.source_tree import SourceTree
    from vllm_forge.release.torch_api import find_missing
    from vllm_forge.release.torch_headers import (
        TorchNames,
        read_installed_names,
        read_wheel_names,
    )
    from vllm_forge.release.torch_uses import read_torch_uses
    from vllm_forge.release.torch_wheel import read_torch_wheel
    from vllm_forge.release.tree import read_release

__all__ = [
    "Question",
    "SourceTree",
    "TorchNames",
    "configure",
    "find_missing",
    "known_releases",
    "known_torches",
    "read_installed_names",
    "read_known_configuration",
    "read_known_missing",
    "read_known_release",
    "read_release",
    "read_torch_uses",
    "read_torch_wheel",
    "read_unreached",
    "read_wheel_names",
]

MODULES: Final = {
    "Question": "question",
    "SourceTree": "source_tree",
    "TorchNames": "torch_headers",
    "configure": "configuration",
    "find_missing": "torch_api",
    "known_releases": "known",
    "known_torches": "known",
    "read_installed_names": "torch_headers",
    "read_known_configuration": "known",
    "read_known_missing": "known",
    "read_known_release": "known",
    "read_unreached": "reaching.left_out",
    "read_release": "tree",
    "read_torch_uses": "torch_uses",
    "read_torch_wheel": "torch_wheel",
    "read_wheel_names": "torch_headers",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 -- each name has its own type, above
    """PEP 562."""
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)
