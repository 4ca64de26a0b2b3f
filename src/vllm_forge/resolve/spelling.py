"""Wishes that can mean nothing are a slip of the keyboard, said before anything is looked at."""

import re
from typing import Final

from packaging.version import InvalidVersion, Version

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.wishes import Wishes
from vllm_forge.resolve.gpu_arch import parse_gpu_arch

DOTTED: Final = re.compile(r"\d{1,3}(\.\d{1,3}){0,2}")


def check_spelling(wishes: Wishes) -> None:
    """Raises:
    Problem: exit 2 for what is no version, no capability.
    """  # noqa: D205 -- that is all there is to say
    if wishes.torch is not None:
        try:
            Version(wishes.torch)
        except InvalidVersion as error:
            raise _misspelled("--torch", wishes.torch, "a torch version", "2.7.1") from error
    if wishes.cuda is not None and not DOTTED.fullmatch(wishes.cuda):
        raise _misspelled("--cuda", wishes.cuda, "a CUDA version", "12.4")
    python = wishes.python
    if python is not None and "/" not in python and not DOTTED.fullmatch(python):
        raise _misspelled("--python", python, "a Python version or a path", "3.12")
    parse_gpu_arch(wishes.gpu_arch)


def _misspelled(option: str, value: str, what: str, example: str) -> Problem:
    return Problem(
        f"{option} {value}: {value!r} is not {what}",
        hints=(f"write it as {option} {example}, or leave it out",),
        exit_code=ExitCode.USAGE,
    )
