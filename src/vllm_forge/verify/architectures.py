"""Does a binary have code that a given GPU runs?

CUDA C++ Programming Guide, "Binary Compatibility", "PTX Compatibility" and "Feature Sets": machine
code runs on its own major capability from its own minor on, portable assembly (PTX) on everything
newer; what was compiled for sm_90a runs on 9.0 alone, for sm_100f on 10.0 and its later family.
"""

import re
from collections.abc import Sequence
from typing import Final

from vllm_forge.records.binary import CodeKind, GpuCode
from vllm_forge.records.check import Check, CheckStatus
from vllm_forge.records.problem import ExitCode, Problem

INTEGRATED: Final = frozenset({(5, 3), (6, 2), (7, 2), (8, 7), (10, 1), (11, 0)})
"""Tegra chips: machine code is not shared between them and cards of the same major capability
(same guide, "Binary Compatibility")."""


def prove_architectures(name: str, codes: Sequence[GpuCode], wanted: Sequence[str]) -> Check:
    """Every wanted capability has machine code in `codes`, or at least PTX.

    `name` is the extension's file name; `wanted` are capabilities as `8.9`, or as they are written
    in TORCH_CUDA_ARCH_LIST: `9.0a` asks for exactly that code, `+PTX` for PTX of it too.

    Raises:
        Problem: exit 2, when a capability is misspelled.
    """
    check = f"architectures:{name}"
    asked = [parse_capability(capability) for capability in wanted]
    if not codes:
        return Check(check, CheckStatus.SKIPPED, "it has no GPU code")
    answers = [answer_for(codes, capability) for capability in asked]
    evidence = (*(line for _, line in answers), f"holds {render_architectures(codes)}")
    failed = [
        text for text, (status, _) in zip(wanted, answers, strict=True)
        if status is CheckStatus.FAILED
    ]  # fmt: skip
    if failed:
        return Check(check, CheckStatus.FAILED, f"no code for {', '.join(failed)}", evidence)
    return Check(check, CheckStatus.PASSED, f"has code for {', '.join(wanted)}", evidence)


Capability = tuple[int, int, str, bool]
"""Major, minor, suffix (`a`, `f` or empty), PTX asked for."""


def parse_capability(text: str) -> Capability:
    """`9.0a+PTX` → (9, 0, "a", True).

    Raises:
        Problem: exit 2.
    """
    match = re.fullmatch(r"(\d{1,2})\.(\d)([af]?)(\+PTX)?", text)
    if match is None:
        raise Problem(
            f"{text!r} is no compute capability",
            hints=("write it as 8.9, 9.0a or 12.0+PTX",),
            exit_code=ExitCode.USAGE,
        )
    return int(match[1]), int(match[2]), match[3], match[4] is not None


def answer_for(codes: Sequence[GpuCode], capability: Capability) -> tuple[CheckStatus, str]:
    """One line of evidence for one capability."""
    major, minor, suffix, with_ptx = capability
    spelled = f"{major}.{minor}{suffix}"
    number = f"{10 * major + minor}{suffix}"
    machine = [code for code in codes if code.kind is CodeKind.ELF]
    portable = [code for code in codes if code.kind is CodeKind.PTX]
    sources = len({code.container for code in codes})
    if suffix:
        fitting = [code for code in machine if code.architecture == number]
    else:
        fitting = [code for code in machine if runs_on(code, major, minor)]
    if with_ptx and not any(code.architecture == number for code in portable):
        return CheckStatus.FAILED, f"{spelled}+PTX: no PTX for compute_{number}"
    if fitting:
        covered = len({code.container for code in fitting})
        kinds = ", ".join(f"sm_{one}" for one in architectures(fitting))
        return (
            CheckStatus.PASSED,
            f"{spelled}: {kinds} in {covered} of {sources} compiled sources",
        )
    late = [code for code in portable if not suffix and runs_on(code, major, minor)]
    if late:
        kinds = ", ".join(f"compute_{one}" for one in architectures(late))
        return (
            CheckStatus.PASSED,
            f"{spelled}: only PTX ({kinds}), which the driver compiles when it is first loaded",
        )
    return CheckStatus.FAILED, f"{spelled}: neither machine code nor PTX that runs on it"


def runs_on(code: GpuCode, major: int, minor: int) -> bool:
    """Whether a GPU of that capability runs this entry."""
    digits = code.architecture.rstrip("af")
    suffix = code.architecture.removeprefix(digits)
    own = divmod(int(digits), 10)
    if own == (major, minor):
        return code.kind in {CodeKind.ELF, CodeKind.PTX}
    if suffix == "a":
        return False
    newer_of_major = own[0] == major and own[1] < minor
    if code.kind is CodeKind.PTX:
        return newer_of_major if suffix == "f" else own < (major, minor)
    shared = not {own, (major, minor)} & INTEGRATED
    return code.kind is CodeKind.ELF and newer_of_major and shared


def architectures(codes: Sequence[GpuCode]) -> list[str]:
    """Each once, in the order of the hardware: 80, 89, 90, 90a, 100."""
    return sorted(
        {code.architecture for code in codes}, key=lambda one: (int(one.rstrip("af")), one)
    )


def render_architectures(codes: Sequence[GpuCode]) -> str:
    """`sm_80 sm_90a, PTX compute_90`."""
    machine = [code for code in codes if code.kind is CodeKind.ELF]
    portable = [code for code in codes if code.kind is CodeKind.PTX]
    parts = [
        " ".join(f"sm_{one}" for one in architectures(machine)) or "no machine code",
        *(
            ["PTX " + " ".join(f"compute_{one}" for one in architectures(portable))]
            * bool(portable)
        ),
    ]
    return ", ".join(parts)
