"""Architectures that a tree's CMake picks and no planned GPU runs."""

from dataclasses import replace

import pytest

from tests.unit.resolve.test_foresight import machine, plan_for
from vllm_forge.records.release import KernelGroup
from vllm_forge.records.resolution import CudaPart
from vllm_forge.resolve.mends import Mend, choose_mends, note_on_mend

WANTED = ("8.0", "8.7", "9.0+PTX")


def group(name: str, *architectures: str, wanted: tuple[str, ...] = WANTED) -> KernelGroup:
    return KernelGroup(name, wanted, architectures, "CMakeLists.txt:308")


def test_a_tegras_code_becomes_a_cards() -> None:
    groups = [group("MARLIN_ARCHS", "8.7"), group("MOE", "8.7"), group("PLAIN", "8.9")]
    (mend,) = choose_mends(groups, ["8.9"])
    assert mend == Mend("8.7", "8.0", ("MARLIN_ARCHS", "MOE"), "CMakeLists.txt:308")
    assert note_on_mend(mend, ["8.9"]) == (
        "stock would compile MARLIN_ARCHS, MOE for 8.7, whose code does not run on 8.9 "
        "(CMakeLists.txt:308); here they are compiled for 8.0"
    )


@pytest.mark.parametrize(
    ("architectures", "capabilities"),
    [
        (("8.7",), ["8.7"]),
        (("8.7",), ["8.7", "8.9"]),
        (("8.0",), ["8.6"]),
        (("9.0+PTX",), ["8.9"]),
    ],
)
def test_what_some_gpu_runs_is_left(
    architectures: tuple[str, ...], capabilities: list[str]
) -> None:
    assert choose_mends([group("MARLIN_ARCHS", *architectures)], capabilities) == ()


def test_a_group_that_has_nothing_for_the_gpu_is_left() -> None:
    groups = [group("FP4_ARCHS", "12.0a", wanted=("12.0a",))]
    assert choose_mends(groups, ["12.1"]) == ()


@pytest.mark.parametrize(
    ("version", "gpu", "instead"),
    [
        ("0.10.1", "8.9", (("8.7", "8.0"),)),
        ("0.10.1", "8.6", ()),
        ("0.10.1", "9.0", ()),
        ("0.8.5", "8.9", ()),
        ("0.14.0", "8.9", ()),
    ],
)
def test_releases(version: str, gpu: str, instead: tuple[tuple[str, str], ...]) -> None:
    """0.9.2 to 0.11.0 list Marlin for 8.0, 8.7 and 9.0; before and after they do not."""
    box = replace(machine("l40s"), gpus=())
    build = plan_for(box, vllm=version, gpu_arch=gpu).build
    assert build is not None
    assert isinstance(build.part, CudaPart)
    assert build.part.instead == instead
