"""What stands in the way on a machine, from machines that we do not have."""

from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from vllm_forge.probe.cuda_tables import read_cuda_table, read_recorded_machines
from vllm_forge.records.finding import Finding, Severity
from vllm_forge.records.machine import (
    Compiler,
    Cpu,
    Disk,
    Driver,
    Gpu,
    Libraries,
    Machine,
    Memory,
    OperatingSystem,
    Python,
    Reachable,
    Toolkit,
    Tools,
)
from vllm_forge.resolve.doctor import find_obstacles
from vllm_forge.show.doctor import render_doctor

GIB = 1 << 30
TABLE = read_cuda_table()
RECORDED = read_recorded_machines()
PAGES = Path(__file__).parents[3] / "docs" / "findings"

SOUND = Machine(
    os=OperatingSystem("debian", "12"),
    glibc="2.36",
    cpu=Cpu("x86_64", "EPYC", 16, ("avx2", "avx512f")),
    memory=Memory(64 * GIB, None, 60 * GIB),
    disk=Disk(500 * GIB),
    gpus=(Gpu("NVIDIA L40S", "8.9", 45 * GIB),),
    driver=Driver("570.124.06", "12.8"),
    toolkits=(Toolkit("12.8", "/usr/local/cuda-12.8", "12.8.93"),),
    compilers=(Compiler("g++", "12.2.0", "/usr/bin/g++"),),
    pythons=(Python("3.12.3", "/usr/bin/python3.12", headers=True),),
    tools=Tools(uv="0.8.13", cmake="3.31.6", ninja="1.13.0", git="2.39.5"),
    libraries=Libraries(libnuma=True),
    reachable=Reachable(index=True),
    root=True,
)
OLD_PYTHON = Python("3.8.18", "/usr/bin/python3.8", headers=True)
NO_HEADERS = Python("3.11.2", "/usr/bin/python3.11", headers=False)
CUDA_12_4 = Toolkit("12.4", "/usr/local/cuda-12.4", "12.4.131")
CUDA_13 = Toolkit("13.0", "/usr/local/cuda-13.0", "13.0.88")
GCC_14 = Compiler("g++-14", "14.2.0", "/usr/bin/g++-14")

SPOILED = {
    "cpu-unsupported": replace(SOUND, cpu=Cpu("ppc64le")),
    "glibc-too-old": replace(SOUND, glibc="2.17"),
    "cpu-without-avx2": replace(SOUND, cpu=Cpu("x86_64", flags=("sse4_2",))),
    "disk-low": replace(SOUND, disk=Disk(2 * GIB)),
    "memory-low": replace(SOUND, memory=Memory(2 * GIB)),
    "memory-limited": replace(SOUND, memory=Memory(64 * GIB, 32 * GIB)),
    "host-compiler-missing": replace(SOUND, compilers=(Compiler("gcc", "12.2.0", "/usr/bin/gcc"),)),
    "host-compiler-too-old": replace(SOUND, compilers=(Compiler("g++", "7.5.0", "/usr/bin/g++"),)),
    "host-compiler-unsupported": replace(
        SOUND, compilers=(Compiler("g++", "15.1.1", "/usr/bin/g++"),)
    ),
    "python-missing": replace(SOUND, pythons=(OLD_PYTHON,)),
    "python-headers-missing": replace(SOUND, pythons=(OLD_PYTHON, NO_HEADERS)),
    "build-tool-missing": replace(SOUND, tools=replace(SOUND.tools, ninja=None)),
    "git-missing": replace(SOUND, tools=replace(SOUND.tools, git=None)),
    "libnuma-missing": replace(SOUND, libraries=Libraries(libnuma=False)),
    "index-unreachable": replace(SOUND, reachable=Reachable(index=False)),
    "gpu-missing": replace(SOUND, gpus=(), driver=None),
    "gpu-driver-missing": replace(SOUND, driver=None),
    "gpu-capability-unknown": replace(SOUND, gpus=(Gpu("NVIDIA PCI device 0x26b9"),)),
    "driver-too-old": replace(SOUND, toolkits=(CUDA_13,)),
    "driver-older-than-toolkit": replace(SOUND, driver=Driver("550.54.15", "12.4")),
    "cuda-toolkit-missing": replace(SOUND, toolkits=()),
    "gpu-arch-unsupported": replace(SOUND, toolkits=(CUDA_12_4,), gpus=(Gpu("B200", "10.0"),)),
}


def codes(machine: Machine) -> list[str]:
    return [finding.code for finding in find_obstacles(machine, TABLE)]


def find(machine: Machine, code: str) -> Finding:
    return next(each for each in find_obstacles(machine, TABLE) if each.code == code)


def test_a_sound_machine_has_none() -> None:
    assert codes(SOUND) == []


def test_of_an_unknown_machine_nothing_is_claimed() -> None:
    assert codes(Machine()) == []


@pytest.mark.parametrize("code", SPOILED)
def test_each_obstacle_is_found_alone(code: str) -> None:
    assert codes(SPOILED[code]) == [code]


@pytest.mark.parametrize("code", SPOILED)
def test_each_has_evidence_a_way_out_and_a_page(code: str) -> None:
    finding = find(SPOILED[code], code)
    assert finding.evidence
    assert finding.fix or finding.severity is Severity.NOTE
    page = (PAGES / f"{code}.md").read_text()
    assert page.startswith(f"# {code}\n")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("l40s-cuda-12.4", []),
        ("h100-cuda-12.8", []),
        ("h200-cuda-13.0", []),
        ("b200-cuda-12.4", ["gpu-arch-unsupported"]),
        ("a100-cuda-12.1", ["memory-limited"]),
        ("rtx-4090-laptop", []),
        ("t4-cuda-12.2", []),
        ("no-gpu", ["python-headers-missing", "libnuma-missing", "gpu-missing"]),
    ],
)
def test_recorded_machines(name: str, expected: list[str]) -> None:
    assert codes(RECORDED[name]) == expected


def test_worst_first() -> None:
    machine = replace(SOUND, gpus=(), compilers=(), pythons=(NO_HEADERS,))
    severities = [finding.severity for finding in find_obstacles(machine, TABLE)]
    assert severities == [Severity.ERROR, Severity.WARNING, Severity.NOTE]


def test_a_second_compiler_that_nvcc_takes_is_enough() -> None:
    newer = Compiler("g++", "15.1.1", "/usr/bin/g++")
    assert codes(replace(SOUND, compilers=(newer, GCC_14))) == []


def test_a_toolkit_newer_than_the_table_may_serve_any_gpu() -> None:
    machine = replace(
        SOUND,
        gpus=(Gpu("NVIDIA R200", "10.9"),),
        toolkits=(Toolkit("14.0", "/usr/local/cuda-14.0"),),
        driver=Driver("700.10", "14.0"),
    )
    assert codes(machine) == []


def test_a_gpu_that_older_code_serves_is_no_obstacle() -> None:
    for capability in ("10.3", "12.1"):  # nvcc 12.8 knows neither; 10.0 and 12.0 run there
        assert codes(replace(SOUND, gpus=(Gpu("GB", capability),))) == []


def test_blackwell_with_cuda_12_4_names_the_toolkit_it_needs() -> None:
    finding = find(RECORDED["b200-cuda-12.4"], "gpu-arch-unsupported")
    assert finding.fix == ("vllm-forge plan --cuda 12.8",)


def test_sudo_is_for_those_who_are_not_root() -> None:
    code = "host-compiler-missing"
    assert find(SPOILED[code], code).fix == ("apt-get install g++",)
    assert find(replace(SPOILED[code], root=False), code).fix == ("sudo apt-get install g++",)
    fedora = replace(SPOILED[code], root=False, os=OperatingSystem("fedora", "42"))
    assert find(fedora, code).fix == ("sudo dnf install gcc-c++",)


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("name", RECORDED)
def test_the_screen_holds_every_fact_at_any_width(name: str, width: int) -> None:
    machine = RECORDED[name]
    findings = find_obstacles(machine, TABLE)
    console = Console(width=width, no_color=True, force_terminal=False)
    with console.capture() as captured:
        console.print(render_doctor(machine, findings))
    shown = captured.get()
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= width
    unbroken = "".join(shown.split())
    for finding in findings:
        assert finding.code in unbroken
    for python in machine.pythons or ():
        assert python.path in unbroken


def test_unknown_and_none_look_different() -> None:
    console = Console(width=80, no_color=True, force_terminal=False)
    with console.capture() as captured:
        console.print(render_doctor(Machine(gpus=()), ()))
    lines = [line.split() for line in captured.get().splitlines() if line.strip()]
    shown = {line[0]: line[1:] for line in lines}
    assert shown["GPU"] == ["none"]
    assert shown["Compilers"] == ["unknown"]
