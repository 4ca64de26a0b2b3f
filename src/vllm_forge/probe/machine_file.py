"""A machine from JSON: one we do not have, or one that somebody's bug report describes."""

from dataclasses import dataclass, fields
from typing import Any

from vllm_forge.records.codec import parse_json
from vllm_forge.records.machine import Machine, Memory
from vllm_forge.records.problem import ExitCode, Problem


@dataclass(frozen=True, slots=True)
class DoctorDocument:
    """What `doctor --json` prints, as far as it is a machine."""

    machine: Machine


def parse_machine(text: str | bytes, origin: str) -> Machine:
    """The bare object, or a whole `doctor --json` document. A missing key is unknown.

    `origin` is the file's path, for messages.

    Raises:
        Problem: exit 5, naming the file and the JSON path of what is wrong.
    """
    top = parse_json(text, dict[str, Any], origin=origin)
    if "machine" in top:
        machine = parse_json(text, DoctorDocument, origin=origin).machine
        where = "$.machine"
    else:
        if top and not top.keys() & {field.name for field in fields(Machine)}:
            raise Problem(
                f"{origin}: no key of a machine in it (it has {', '.join(sorted(top)[:5])})",
                hints=("vllm-forge doctor --json writes one",),
                exit_code=ExitCode.BAD_INPUT,
            )
        machine = parse_json(text, Machine, origin=origin)
        where = "$"
    if contradiction := find_contradiction(machine.memory):
        raise Problem(
            f"{origin}: {contradiction} - at `{where}.memory`", exit_code=ExitCode.BAD_INPUT
        )
    return machine


def find_contradiction(memory: Memory) -> str | None:
    """Numbers that each may be, and cannot be together."""
    total, available = memory.total_bytes, memory.available_bytes
    if total is not None and available is not None and available > total:
        return f"available_bytes {available} is more than total_bytes {total}"
    return None
