"""The shipped CUDA tables and the questions asked of them."""

import re

import pytest

from vllm_forge.probe.cuda_tables import read_cuda_table, read_gpu_table, read_recorded_machines
from vllm_forge.resolve.cuda_facts import (
    archs_of_toolkit,
    capability_of,
    driver_floor,
    driver_of_toolkit,
    host_compiler_limit,
    newest_cuda_of_driver,
    oldest_toolkit_for,
    parts_of,
)

TABLE = read_cuda_table()
GPUS = read_gpu_table()


@pytest.mark.parametrize(
    ("version", "has", "has_not"),
    [
        ("11.8", {"3.5", "8.9", "9.0"}, {"9.0a", "10.0"}),
        ("12.4", {"5.0", "8.9", "9.0", "9.0a"}, {"10.0", "12.0", "3.5"}),
        ("12.4.131", {"9.0a"}, {"10.0"}),
        ("12.8", {"10.0", "10.0a", "10.1", "12.0a"}, {"10.3", "12.1", "10.0f"}),
        ("12.9", {"10.3", "12.1", "10.0f", "12.0f"}, {"11.0"}),
        ("13.0", {"7.5", "8.8", "11.0", "12.1f"}, {"7.0", "7.2", "10.1", "10.7"}),
        ("13.4", {"10.7", "10.7a"}, {"7.0"}),
    ],
)
def test_architectures(version: str, has: set[str], has_not: set[str]) -> None:
    found = archs_of_toolkit(version, TABLE)
    known = set(found.value or ())
    assert has <= known
    assert not has_not & known
    assert "ptxas --help" in found.source


@pytest.mark.parametrize("version", ["12.7", "14.0", "10.2"])
def test_toolkits_that_are_not_in_the_table_are_unknown(version: str) -> None:
    assert archs_of_toolkit(version, TABLE).value is None
    assert version in archs_of_toolkit(version, TABLE).source
    assert host_compiler_limit(version, TABLE).value is None


@pytest.mark.parametrize(
    ("version", "gcc", "clang"),
    [("11.8", 11, 14), ("12.0", 12, 14), ("12.4", 13, 17), ("12.8", 14, 19), ("13.4", 16, 22)],
)
def test_host_compilers(version: str, gcc: int, clang: int) -> None:
    limit = host_compiler_limit(version, TABLE)
    assert limit.value is not None
    assert (limit.value.gcc, limit.value.clang) == (gcc, clang)
    assert "host_config.h" in limit.source


@pytest.mark.parametrize(
    ("version", "floor", "own"),
    [
        ("11.8", "450.80.02", "520.61.05"),
        ("12.4", "525.60.13", "550.54.14"),
        ("12.9", "525.60.13", "575.51.03"),
        ("13.3", "580.65.06", "610.43.02"),
        ("13.4", "580.65.06", None),  # from 13.4 on no driver comes with the toolkit
    ],
)
def test_drivers(version: str, floor: str, own: str | None) -> None:
    assert driver_floor(version, TABLE).value == floor
    assert driver_of_toolkit(version, TABLE).value == own


@pytest.mark.parametrize(
    ("driver", "cuda"),
    [
        ("550.54.15", "12.4"),
        ("550.54.13", "12.3"),
        ("535.104.05", "12.2"),
        ("570.9", "12.6"),  # 570.9 is older than 570.26
        ("580.65.06", "13.0"),
        ("390.48", None),
    ],
)
def test_what_a_driver_speaks(driver: str, cuda: str | None) -> None:
    assert newest_cuda_of_driver(driver, TABLE).value == cuda


@pytest.mark.parametrize(
    ("architecture", "version"),
    [("8.9", "11.8"), ("9.0a", "12.0"), ("10.0", "12.8"), ("12.1", "12.9"), ("11.0", "13.0")],
)
def test_the_first_toolkit_for_an_architecture(architecture: str, version: str) -> None:
    assert oldest_toolkit_for(architecture, TABLE).value == version
    assert oldest_toolkit_for("99.0", TABLE).value is None


@pytest.mark.parametrize(
    ("name", "capability"),
    [
        ("Tesla T4", "7.5"),
        ("Tesla V100-SXM2-16GB", "7.0"),
        ("NVIDIA A100-SXM4-80GB", "8.0"),
        ("NVIDIA A10", "8.6"),
        ("NVIDIA A10G", "8.6"),
        ("NVIDIA RTX A6000", "8.6"),
        ("NVIDIA L4", "8.9"),
        ("NVIDIA L40S", "8.9"),
        ("NVIDIA RTX 6000 Ada Generation", "8.9"),
        ("Quadro RTX 6000", "7.5"),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "12.0"),
        ("NVIDIA GeForce RTX 2080 Ti", "7.5"),
        ("NVIDIA GeForce RTX 3090", "8.6"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "8.9"),
        ("NVIDIA GeForce RTX 5090", "12.0"),
        ("NVIDIA H100 80GB HBM3", "9.0"),
        ("NVIDIA H100 NVL", "9.0"),
        ("NVIDIA GH200 480GB", "9.0"),
        ("NVIDIA H200", "9.0"),
        ("NVIDIA B200", "10.0"),
        ("NVIDIA B300 SXM6 AC", "10.3"),
        ("NVIDIA GB10", "12.1"),
        ("Orin (nvgpu)", "8.7"),
        ("NVIDIA Jetson AGX Orin Developer Kit", "8.7"),
        ("NVIDIA Thor", "11.0"),
        ("GRID T4-16Q", "7.5"),
        ("AMD Instinct MI300X", None),
        ("NVIDIA H1000", None),
        ("", None),
    ],
)
def test_capability_by_name(name: str, capability: str | None) -> None:
    found = capability_of(name, GPUS)
    assert found.value == capability
    assert found.source


def test_the_tables_are_in_order_and_say_their_sources() -> None:
    versions = [parts_of(each.version) for each in TABLE.toolkits]
    assert versions == sorted(set(versions))
    for each in TABLE.toolkits:
        assert each.nvcc.startswith(f"{each.version}.")
        assert len(set(each.architectures)) == len(each.architectures)
        assert each.nvcc in each.architectures_source
    drivers = [parts_of(each.driver) for each in TABLE.toolkits if each.driver]
    assert drivers == sorted(drivers)


def test_no_model_has_two_capabilities() -> None:
    named = [model.lower() for group in GPUS.capabilities for model in group.models]
    assert len(named) == len(set(named))
    for group in GPUS.capabilities:
        for model in group.models:
            assert capability_of(model, GPUS).value == group.capability


def test_every_capability_is_compiled_by_some_toolkit() -> None:
    for group in GPUS.capabilities:
        assert oldest_toolkit_for(group.capability, TABLE).value is not None


def test_recorded_machines_agree_with_the_tables() -> None:
    """A recording is typed by hand: what it says of one thing must fit what it says of another."""
    machines = read_recorded_machines()
    assert len(machines) == 8
    for name, machine in machines.items():
        for gpu in machine.gpus or ():
            assert capability_of(gpu.name, GPUS).value == gpu.capability, name
        if machine.driver is not None:
            assert machine.driver.cuda == newest_cuda_of_driver(machine.driver.version, TABLE).value
        for toolkit in machine.toolkits or ():
            assert re.fullmatch(rf"{toolkit.version}\.\d+", toolkit.nvcc or "")
        memory = machine.memory
        bounds = [size for size in (memory.total_bytes, memory.limit_bytes) if size is not None]
        assert memory.available_bytes is not None
        assert memory.available_bytes <= min(bounds)
