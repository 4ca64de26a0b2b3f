"""GPUs and drivers, from recorded words of nvidia-smi and from /proc alone."""

from pathlib import Path

import pytest

from vllm_forge.probe.answers import Answers
from vllm_forge.probe.cuda_tables import read_gpu_table
from vllm_forge.probe.driver import parse_nvidia_smi, read_driver
from vllm_forge.probe.gpu import parse_gpus, read_gpus
from vllm_forge.probe.programs import read_programs
from vllm_forge.records.machine import Driver, Gpu
from vllm_forge.resolve.cuda_facts import capability_of
from vllm_forge.run.process import run_command

MIB = 1 << 20


def known(name: str) -> str | None:
    return capability_of(name, read_gpu_table()).value


@pytest.fixture
def answers() -> Answers:
    return Answers(run_command, environ={"PATH": "/usr/bin:/bin"}, kept={})


def write_nvidia_smi(folder: Path, body: str) -> Path:
    folder.mkdir()
    path = folder / "nvidia-smi"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (
            "| NVIDIA-SMI 550.54.15       Driver Version: 550.54.15      CUDA Version: 12.4     |",
            Driver("550.54.15", "12.4"),
        ),
        (
            "| NVIDIA-SMI 470.57.02    Driver Version: 470.57.02    CUDA Version: N/A      |",
            Driver("470.57.02", None),
        ),
        (
            "| NVIDIA-SMI 590.44.01   KMD Version: 590.44.01     CUDA UMD Version: 13.1     |",
            Driver("590.44.01", "13.1"),
        ),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", None),
    ],
)
def test_the_head_of_nvidia_smi(head: str, expected: Driver | None) -> None:
    assert parse_nvidia_smi(head) == expected


def test_a_driver_that_does_not_know_compute_cap(tmp_path: Path, answers: Answers) -> None:
    """Before 510 the whole question is refused; then the name says the capability."""
    body = (
        'case "$1" in *compute_cap*) echo \'Field "compute_cap" is not a valid field to query.\'; '
        "exit 2;; esac\necho 'Tesla T4, 15109'"
    )
    programs = read_programs((write_nvidia_smi(tmp_path / "bin", body),))
    assert read_gpus(programs, answers, known, root=tmp_path) == (
        Gpu("Tesla T4", "7.5", 15109 * MIB),
    )


def test_several_gpus_each_counts() -> None:
    said = "NVIDIA H100 80GB HBM3, 81559, 9.0\n" * 8
    assert parse_gpus(said) == (Gpu("NVIDIA H100 80GB HBM3", "9.0", 81559 * MIB),) * 8


def test_no_devices_were_found(tmp_path: Path, answers: Answers) -> None:
    programs = read_programs(
        (write_nvidia_smi(tmp_path / "bin", "echo 'No devices were found'; exit 6"),)
    )
    assert read_gpus(programs, answers, known, root=tmp_path) == ()
    assert read_driver(programs, answers, root=tmp_path) is None


def test_a_container_with_the_module_but_without_nvidia_smi(
    tmp_path: Path, answers: Answers
) -> None:
    card = tmp_path / "proc/driver/nvidia/gpus/0000:01:00.0"
    card.mkdir(parents=True)
    (card / "information").write_text(
        "Model: \t\t NVIDIA GeForce RTX 4090 Laptop GPU\nIRQ: \t 57\n"
    )
    (tmp_path / "proc/driver/nvidia/version").write_text(
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.10  Release Build  (x)\n"
    )
    assert read_gpus({}, answers, known, root=tmp_path) == (
        Gpu("NVIDIA GeForce RTX 4090 Laptop GPU", "8.9"),
    )
    assert read_driver({}, answers, root=tmp_path) == Driver("570.86.10")


def test_a_card_on_the_bus_without_any_driver(tmp_path: Path, answers: Answers) -> None:
    for number, (vendor, device, kind) in enumerate(
        [
            ("0x10de", "0x26b9", "0x030200"),
            ("0x10de", "0x22ba", "0x040300"),
            ("0x8086", "0x1", "0x030000"),
        ]
    ):
        folder = tmp_path / f"sys/bus/pci/devices/0000:0{number}:00.0"
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(f"{vendor}\n")
        (folder / "device").write_text(f"{device}\n")
        (folder / "class").write_text(f"{kind}\n")
    assert read_gpus({}, answers, known, root=tmp_path) == (Gpu("NVIDIA PCI device 0x26b9"),)
    assert read_driver({}, answers, root=tmp_path) is None


def test_a_jetson_says_what_it_is(tmp_path: Path, answers: Answers) -> None:
    model = tmp_path / "proc/device-tree/model"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"NVIDIA Jetson AGX Orin Developer Kit\0")
    assert read_gpus({}, answers, known, root=tmp_path) == (
        Gpu("NVIDIA Jetson AGX Orin Developer Kit", "8.7"),
    )
