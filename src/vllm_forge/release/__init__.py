"""What a vLLM source tree says, read statically: nothing of it is imported or run."""

from vllm_forge.release.configure import Question, configure
from vllm_forge.release.known import (
    known_releases,
    known_torches,
    read_known_configuration,
    read_known_missing,
    read_known_release,
)
from vllm_forge.release.source_tree import SourceTree
from vllm_forge.release.torch_api import find_missing
from vllm_forge.release.torch_headers import TorchNames, read_installed_names, read_wheel_names
from vllm_forge.release.torch_uses import read_torch_uses
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
    "read_wheel_names",
]
