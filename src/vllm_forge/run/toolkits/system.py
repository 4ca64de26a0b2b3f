"""Toolkits that are here already: CUDA_HOME, PATH, /usr/local/cuda*, and the forge's own."""

from pathlib import Path
from typing import Final

from vllm_forge.probe.answers import Answers
from vllm_forge.probe.programs import parse_path, read_programs
from vllm_forge.probe.toolkit import read_toolkits
from vllm_forge.probe.toolkit_parts import missing_parts
from vllm_forge.records.decision import Reason, Refused
from vllm_forge.records.machine import Toolkit
from vllm_forge.resolve.toolkit import matches
from vllm_forge.run.doors import Doors
from vllm_forge.run.toolkits.provider import SUBJECT, Asked

PLACES: Final = "CUDA_HOME, CUDA_PATH, PATH, /usr/local/cuda*"


def offer_system(asked: Asked, doors: Doors) -> Toolkit | Refused:
    """A whole toolkit of that version; the forge's own count as well."""
    found = find_toolkits(doors)
    fit = [toolkit for toolkit in found if matches(toolkit, asked.version)]
    for toolkit in fit:
        if not missing_parts(Path(toolkit.path)):
            return toolkit
    facts = [
        f"{toolkit.path} is CUDA {toolkit.nvcc} and lacks "
        + ", ".join(missing_parts(Path(toolkit.path))[:3])
        for toolkit in fit
    ]
    facts = facts or [f"{toolkit.path} is CUDA {toolkit.nvcc}" for toolkit in found]
    return Refused(
        SUBJECT, tuple(Reason(fact, PLACES) for fact in facts or ["no CUDA toolkit is here"])
    )


def find_toolkits(doors: Doors) -> tuple[Toolkit, ...]:
    """As the doctor finds them."""
    answers = Answers(doors.run, environ=doors.environ, kept={})
    programs = read_programs(parse_path(doors.environ.get("PATH", "")))
    return read_toolkits(programs, answers, doors.environ, doors.home.path)
