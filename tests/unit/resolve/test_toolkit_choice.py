"""Which toolkit compiles: nvcc's, torch's and the driver's versions brought together."""

from dataclasses import replace

import pytest

from vllm_forge.probe.cuda_tables import read_cuda_table, read_recorded_machines
from vllm_forge.records.decision import Chosen, Refused
from vllm_forge.records.machine import Driver, Machine, Toolkit
from vllm_forge.records.sourced import Sourced
from vllm_forge.resolve.toolkit import choose_toolkit

TABLE = read_cuda_table()
RECORDED = read_recorded_machines()
UNKNOWN: Sourced[str] = Sourced(None, "not asked")


def carried(version: str) -> Sourced[str]:
    return Sourced(version, "METADATA of torch's wheel")


def machine(*versions: str, driver: str | None = None) -> Machine:
    return Machine(
        toolkits=tuple(Toolkit(each, f"/usr/local/cuda-{each}") for each in versions),
        driver=None if driver is None else Driver(driver),
    )


def choose(
    box: Machine,
    wish: str | None = None,
    torch_cuda: Sourced[str] = UNKNOWN,
    architectures: tuple[str, ...] = (),
) -> Chosen[Toolkit] | Refused:
    return choose_toolkit(wish, box, torch_cuda, architectures, TABLE)


def version_of(decision: Chosen[Toolkit] | Refused) -> str:
    assert isinstance(decision, Chosen)
    return decision.value.version


def facts(decision: Chosen[Toolkit] | Refused) -> str:
    return "\n".join(reason.fact for reason in decision.because)


def test_l40s_with_driver_550_cuda_12_4_and_torch_of_12_6() -> None:
    """The issue's first case: accepted, and said why the three versions may differ."""
    decision = choose(RECORDED["l40s-cuda-12.4"], "12.4", carried("12.6"), ("8.9",))
    assert version_of(decision) == "12.4"
    assert "torch's runtime is CUDA 12.6, nvcc is 12.4: same major version" in facts(decision)
    assert "driver 550.54.15 is older than CUDA 12.6's own (560.28.03)" in facts(decision)


@pytest.mark.parametrize(
    ("versions", "torch_cuda", "architectures", "expected"),
    [
        (("12.4", "12.8"), "12.6", (), "12.8"),
        (("12.8", "12.6", "12.4"), "12.6", (), "12.6"),
        (("12.6", "12.8"), "12.6", ("10.0",), "12.8"),  # only 12.8 compiles for Blackwell
        (("12.4", "13.0"), "12.4", ("10.0",), "12.4"),  # 13.0 would, but not with this torch
        (("12.8",), "12.6", ("12.1",), "12.8"),  # by 12.0, whose code runs on 12.1
        (("11.8", "13.0", "12.1"), "12.8", (), "12.1"),
    ],
)
def test_the_best_of_several(
    versions: tuple[str, ...], torch_cuda: str, architectures: tuple[str, ...], expected: str
) -> None:
    decision = choose(machine(*versions), None, carried(torch_cuda), architectures)
    assert version_of(decision) == expected


def test_another_major_version_than_torchs_is_refused() -> None:
    decision = choose(machine("13.0"), None, carried("12.6"))
    assert isinstance(decision, Refused)
    assert "not of torch's major version" in facts(decision)
    assert decision.ways_out == ("install CUDA 12.6 and set CUDA_HOME to its folder",)


@pytest.mark.parametrize(
    ("driver", "toolkit", "runs"),
    [
        ("525.60.13", "12.9", True),
        ("525.60.12", "12.0", False),
        ("470.57.02", "11.8", True),
        ("550.54.15", "13.0", False),
        ("580.65.06", "13.3", True),
        ("580.65.06", "12.4", True),
    ],
)
def test_the_driver_must_reach_the_floor(driver: str, toolkit: str, *, runs: bool) -> None:
    decision = choose(machine(toolkit, driver=driver))
    assert isinstance(decision, Chosen) is runs
    if not runs:
        assert f"driver {driver} runs no CUDA" in facts(decision)


def test_a_toolkit_the_driver_runs_is_found_beside_one_it_does_not() -> None:
    assert version_of(choose(machine("13.0", "12.4", driver="550.54.15"))) == "12.4"


def test_a_wish_that_is_not_there_names_what_is() -> None:
    decision = choose(machine("12.4", "13.0"), "12.8", carried("12.8"))
    assert isinstance(decision, Refused)
    assert decision.ways_out == ("--cuda 12.4",)  # 13.0 would be refused with this torch
    for way_out in decision.ways_out:
        again = choose(machine("12.4", "13.0"), way_out.removeprefix("--cuda "), carried("12.8"))
        assert isinstance(again, Chosen)


@pytest.mark.parametrize(("wish", "fits"), [("12", True), ("12.4", True), ("12.5", False)])
def test_a_wish_may_be_short(wish: str, *, fits: bool) -> None:
    assert isinstance(choose(machine("12.4"), wish), Chosen) is fits


def test_none_here_and_unknown_are_told_apart() -> None:
    nothing = choose(RECORDED["no-gpu"], None, carried("12.6"))
    assert isinstance(nothing, Refused)
    assert "no CUDA toolkit here" in facts(nothing)
    unknown = choose(Machine())
    assert isinstance(unknown, Refused)
    assert "unknown" in facts(unknown)


def test_a_toolkit_half_unpacked_is_not_taken_and_what_it_lacks_is_named() -> None:
    half = Toolkit("12.4", "/usr/local/cuda-12.4", "12.4.131", ("include/cublas_v2.h",))
    whole = Toolkit("12.2", "/usr/local/cuda-12.2", "12.2.140", ())
    box = replace(machine("12.4"), toolkits=(half,))
    decision = choose(box, "12.4", carried("12.6"))
    assert isinstance(decision, Refused)
    lacking = "CUDA 12.4 (/usr/local/cuda-12.4) is not whole: it lacks include/cublas_v2.h"
    assert lacking in facts(decision)
    assert decision.ways_out == ("vllm-forge toolkit add 12.4",)
    both = choose(replace(box, toolkits=(half, whole)), torch_cuda=carried("12.6"))
    assert version_of(both) == "12.2"


def test_a_missing_stub_of_libcuda_matters_where_no_driver_brings_the_library() -> None:
    kit = Toolkit("12.4", "/usr/local/cuda-12.4", "12.4.131", ("lib64/stubs/libcuda.so",))
    box = replace(machine("12.4"), toolkits=(kit,))
    with_driver = replace(box, driver=Driver("550.54.15", "12.4"))
    without = choose(box, torch_cuda=carried("12.6"))
    assert isinstance(without, Refused)
    assert "it lacks lib64/stubs/libcuda.so" in facts(without)
    assert version_of(choose(with_driver, torch_cuda=carried("12.6"))) == "12.4"


def test_without_a_driver_it_may_still_be_compiled() -> None:
    decision = choose(machine("12.4"))
    assert version_of(decision) == "12.4"
    assert "no driver here to check against" in facts(decision)


def test_a_toolkit_newer_than_the_table_is_not_refused() -> None:
    box = replace(machine("13.9"), driver=Driver("700.1"))
    assert version_of(choose(box, None, carried("13.0"), ("12.0",))) == "13.9"
