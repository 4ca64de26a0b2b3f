"""NVIDIA's kernel driver, and the newest CUDA it speaks."""

import re
from pathlib import Path
from typing import Final

from vllm_forge.probe.answers import Answers
from vllm_forge.probe.programs import Programs, runnable
from vllm_forge.records.machine import Driver

DRIVER: Final = re.compile(r"(?:Driver|KMD) Version\s*:\s*(\d+(?:\.\d+)+)")
CUDA: Final = re.compile(r"CUDA (?:UMD )?Version\s*:\s*(\d+\.\d+)")
"""Drivers from 590 on print "CUDA UMD Version"."""
KERNEL_MODULE: Final = re.compile(r"Kernel Module.*?\s(\d{3,}(?:\.\d+)+)\s")

WSL: Final = Path("/usr/lib/wsl/lib/nvidia-smi")
"""WSL's own folder, often not on PATH (CUDA on WSL user guide)."""


def find_nvidia_smi(programs: Programs) -> Path | None:
    return next((path for path in (*programs.get("nvidia-smi", ()), WSL) if runnable(path)), None)


def parse_nvidia_smi(text: str) -> Driver | None:
    """The frame's head, as plain `nvidia-smi` prints it.

    >>> parse_nvidia_smi("| NVIDIA-SMI 550.54.15  Driver Version: 550.54.15  CUDA Version: 12.4 |")
    Driver(version='550.54.15', cuda='12.4')
    """
    version, cuda = DRIVER.search(text), CUDA.search(text)
    return None if version is None else Driver(version[1], cuda[1] if cuda else None)


def parse_kernel_module(text: str) -> str | None:
    """/proc/driver/nvidia/version, of the closed and the open module.

    >>> closed = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56"
    >>> opened = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.10  Release"
    >>> parse_kernel_module(closed), parse_kernel_module(opened)
    ('550.54.15', '570.86.10')
    """
    match = KERNEL_MODULE.search(text)
    return match[1] if match else None


def read_kernel_module(*, root: Path = Path("/")) -> str | None:
    """The loaded module's version; None where none is loaded or it is not to be seen."""
    try:
        return (root / "sys/module/nvidia/version").read_text().strip() or None
    except OSError:
        pass
    try:
        return parse_kernel_module((root / "proc/driver/nvidia/version").read_text())
    except OSError:
        return None


def read_driver(programs: Programs, answers: Answers, *, root: Path = Path("/")) -> Driver | None:
    """nvidia-smi knows both; without it the kernel module's version is known, its CUDA is not.

    None: no driver is to be seen.
    """
    if program := find_nvidia_smi(programs):
        # Not remembered: a driver is changed without touching this program (containers mount it).
        said = answers.ask(program, remember=False)
        if driver := parse_nvidia_smi(said.stdout):
            return driver
    version = read_kernel_module(root=root)
    return None if version is None else Driver(version)
