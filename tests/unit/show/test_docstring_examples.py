"""Every example in a docstring of the package holds."""

import doctest
import importlib
import pkgutil

import pytest

import vllm_forge

MODULES = [
    module.name
    for module in pkgutil.walk_packages(vllm_forge.__path__, "vllm_forge.")
    if ".workers" not in module.name and not module.name.endswith("__main__")
]
"""Workers are run by the built environment's Python and import what only it has."""


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_there_are_some() -> None:
    assert len(MODULES) > 100
