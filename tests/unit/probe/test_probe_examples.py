"""The examples in docstrings of probe and of the CUDA rules hold."""

import doctest
import importlib
import pkgutil

import pytest

import vllm_forge.probe

MODULES = [
    *(
        f"vllm_forge.probe.{module.name}"
        for module in pkgutil.iter_modules(vllm_forge.probe.__path__)
    ),
    "vllm_forge.resolve.advice",
    "vllm_forge.resolve.cuda_facts",
    "vllm_forge.resolve.gpu_arch",
    "vllm_forge.resolve.toolkit",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_parsers_have_examples() -> None:
    without = [
        f"{name}.{function}"
        for name in MODULES
        for function, value in vars(importlib.import_module(name)).items()
        if function.startswith("parse_")
        and value.__module__ == name
        and ">>>" not in (value.__doc__ or "")
    ]
    # Their inputs are whole JSON documents: test_machine_file and test_answers give them.
    assert without == [
        "vllm_forge.probe.answers.parse_answers",
        "vllm_forge.probe.machine_file.parse_machine",
    ]
