"""NVIDIA GPUs: what nvidia-smi says, else what the kernel knows of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from vllm_forge.probe.answers import Answers
from vllm_forge.probe.driver import find_nvidia_smi
from vllm_forge.probe.programs import Programs
from vllm_forge.records.machine import Gpu

MIB: Final = 1 << 20
NVIDIA: Final = "0x10de"
DISPLAY: Final = "0x03"
"""PCI class of display controllers; an NVIDIA card's audio and USB functions are others."""

FIELDS: Final = ("name", "memory.total", "compute_cap")
"""compute_cap is the last: drivers before 510 do not know it, and refuse the whole question."""

CapabilityOf = Callable[[str], str | None]
"""GPU name → compute capability, from the shipped table."""


def parse_gpus(csv: str, capability_of: CapabilityOf = lambda _: None) -> tuple[Gpu, ...]:
    r"""`nvidia-smi --query-gpu=name,memory.total[,compute_cap] --format=csv,noheader,nounits`.

    Memory is in MiB there; `[N/A]` on chips that share the CPU's memory.

    >>> l40s, gb10 = parse_gpus("NVIDIA L40S, 46068, 8.9\nNVIDIA GB10, [N/A], 12.1\n")
    >>> l40s
    Gpu(name='NVIDIA L40S', capability='8.9', memory_bytes=48305799168)
    >>> gb10.memory_bytes is None
    True
    """
    found = []
    for line in csv.splitlines():
        name, *rest = (word.strip() for word in line.split(","))
        memory, capability, *_ = (*rest, "", "")
        if name and rest:
            found.append(
                Gpu(
                    name,
                    capability if is_capability(capability) else capability_of(name),
                    int(memory) * MIB if memory.isdigit() else None,
                )
            )
    return tuple(found)


def is_capability(text: str) -> bool:
    major, dot, minor = text.partition(".")
    return bool(dot) and major.isdigit() and minor.isdigit()


def parse_information(text: str) -> str | None:
    r"""Model in /proc/driver/nvidia/gpus/*/information.

    >>> parse_information("Model: \t\t NVIDIA H200\nIRQ:   \t\t 57\n")
    'NVIDIA H200'
    """
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == "Model" and value.strip() not in {"", "Unknown"}:
            return value.strip()
    return None


def read_kernel_gpus(capability_of: CapabilityOf, *, root: Path = Path("/")) -> tuple[Gpu, ...]:
    """GPUs as the loaded driver lists them, else Tegra's model, else bare PCI devices by number."""
    named = []
    for information in sorted(root.glob("proc/driver/nvidia/gpus/*/information")):
        try:
            name = parse_information(information.read_text(errors="replace"))
        except OSError:
            continue
        if name is not None:
            named.append(Gpu(name, capability_of(name)))
    if named:
        return tuple(named)
    tegra = read_word(root / "proc/device-tree/model")
    if tegra.startswith("NVIDIA"):
        return (Gpu(tegra, capability_of(tegra)),)
    return tuple(
        Gpu(f"NVIDIA PCI device {read_word(device / 'device')}")
        for device in sorted(root.glob("sys/bus/pci/devices/*"))
        if read_word(device / "vendor") == NVIDIA
        and read_word(device / "class").startswith(DISPLAY)
    )


def read_word(path: Path) -> str:
    """A one-line file of the kernel (device-tree strings end in a NUL); "" where there is none."""
    try:
        return path.read_text(errors="replace").strip(" \n\0")
    except OSError:
        return ""


def read_gpus(
    programs: Programs,
    answers: Answers,
    capability_of: CapabilityOf,
    *,
    root: Path = Path("/"),
) -> tuple[Gpu, ...]:
    """() when nothing here knows of an NVIDIA GPU."""
    if program := find_nvidia_smi(programs):
        for fields in (FIELDS, FIELDS[:-1]):
            said = answers.ask(
                program,
                f"--query-gpu={','.join(fields)}",
                "--format=csv,noheader,nounits",
                remember=False,
            )
            if said.code == 0 and (gpus := parse_gpus(said.stdout, capability_of)):
                return gpus
    return read_kernel_gpus(capability_of, root=root)
