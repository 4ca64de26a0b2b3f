"""A torch that is there already: taken as it is, or refused with its reason."""

from dataclasses import replace
from pathlib import Path

import pytest

from vllm_forge.records.decision import Chosen, Refused
from vllm_forge.records.lent import Lent
from vllm_forge.records.wishes import Device, Wishes
from vllm_forge.release import read_release
from vllm_forge.resolve.lent import choose_lent_python, choose_lent_torch, lent_cuda
from vllm_forge.resolve.torch import Target

RELEASE = read_release(Path(__file__).parents[2] / "trees" / "tiny")
LENT = Lent(
    python="/opt/torch/bin/python3",
    version="3.12.3",
    headers=True,
    torch="2.6.0+cu124",
    cuda="12.4",
    folders=("/opt/torch/lib/python3.12/site-packages",),
    packages="0",
)
TARGET = Target("x86_64", "3.12.3")


def test_its_interpreter_is_the_environments() -> None:
    chosen = choose_lent_python(Wishes(), LENT, RELEASE)
    assert isinstance(chosen, Chosen)
    assert (chosen.value.path, chosen.value.version) == (LENT.python, "3.12.3")
    assert chosen.value.headers is True


@pytest.mark.parametrize(
    ("version", "wish", "fact"),
    [("3.99.1", None, "allows Python"), ("3.12.3", "3.11", "--python 3.11")],
)
def test_an_interpreter_that_cannot_be(version: str, wish: str | None, fact: str) -> None:
    refused = choose_lent_python(Wishes(python=wish), replace(LENT, version=version), RELEASE)
    assert isinstance(refused, Refused)
    assert any(fact in reason.fact for reason in refused.because)
    assert refused.ways_out


def test_its_torch_without_the_local_part() -> None:
    chosen = choose_lent_torch(Wishes(), Device.CPU, TARGET, RELEASE, LENT)
    assert isinstance(chosen, Chosen)
    assert chosen.value == "2.6.0"
    assert chosen.warnings == ()
    assert lent_cuda(LENT).value == "12.4"


def test_another_torch_than_the_trees_is_warned_of() -> None:
    other = replace(LENT, torch="2.9.1+cpu", cuda=None)
    chosen = choose_lent_torch(Wishes(), Device.CPU, TARGET, RELEASE, other)
    assert isinstance(chosen, Chosen)
    assert chosen.value == "2.9.1"
    assert any("2.9.1" in warning for warning in chosen.warnings)


def test_a_wish_for_another_torch_is_refused() -> None:
    refused = choose_lent_torch(Wishes(torch="2.7.1"), Device.CPU, TARGET, RELEASE, LENT)
    assert isinstance(refused, Refused)
    assert "--torch 2.6.0" in refused.ways_out


def test_a_cpu_torch_serves_no_gpu() -> None:
    bare = replace(LENT, torch="2.6.0+cpu", cuda=None)
    refused = choose_lent_torch(Wishes(), Device.CUDA, TARGET, RELEASE, bare)
    assert isinstance(refused, Refused)
    assert "--device cpu" in refused.ways_out
