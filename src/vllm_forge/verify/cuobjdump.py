"""NVIDIA's own reader of fat binaries, where a toolkit has it, against ours."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from vllm_forge.records.binary import GpuCode
from vllm_forge.records.check import Check, CheckStatus
from vllm_forge.records.doors import RunCommand

ENTRY: Final = re.compile(r"^Fatbin (\w+) code:\n=+\narch = (?:sm|compute)_(\w+)$", re.MULTILINE)
NO_CODE: Final = "does not contain device code"
SECONDS: Final = 300.0
NOT_HERE: Final = 127
"""`records.doors.Completed`: the program was not found."""


def prove_cuobjdump(
    path: Path, codes: Sequence[GpuCode], program: Path | str, run: RunCommand
) -> Check:
    """Both list the same entries in the same order.

    SKIPPED where cuobjdump is not here, or does not read the file.
    """
    check = f"cuobjdump:{path.name}"
    said = run([program, path], timeout=SECONDS)
    if said.code == NOT_HERE:
        return Check(check, CheckStatus.SKIPPED, "no cuobjdump here")
    if said.code != 0 and NO_CODE not in said.stdout + said.stderr:
        last = (said.stderr or said.stdout).strip().splitlines()[-1:]
        detail = f"cuobjdump does not read it: {''.join(last) or f'code {said.code}'}"
        return Check(check, CheckStatus.SKIPPED, detail)
    theirs = [(kind.lower(), architecture) for kind, architecture in ENTRY.findall(said.stdout)]
    ours = [(code.kind.value, code.architecture) for code in codes]
    if theirs == ours:
        return Check(check, CheckStatus.PASSED, f"lists the same {len(ours)} entries")
    pairs = zip(ours, theirs, strict=False)
    differing = [f"ours {mine}, cuobjdump's {other}" for mine, other in pairs if mine != other]
    detail = f"cuobjdump lists {len(theirs)} entries, we {len(ours)}"
    return Check(check, CheckStatus.FAILED, detail, tuple(differing[:4]))
