"""Toolkits that can be made here, asked for only where none of the machine's fits."""

from pathlib import Path
from time import time

from vllm_forge.records.codec import parse_json, render_json
from vllm_forge.records.machine import Toolkit
from vllm_forge.records.problem import Problem
from vllm_forge.records.toolkit import OfferedToolkit
from vllm_forge.resolve.cuda import missing_toolkits
from vllm_forge.resolve.cuda_facts import minor_of
from vllm_forge.resolve.given import Given
from vllm_forge.run.doors import Doors
from vllm_forge.run.files import write_atomically
from vllm_forge.run.toolkits.choosing import find_offer
from vllm_forge.run.toolkits.making import toolkits_of
from vllm_forge.run.toolkits.provider import Asked, Recipe

REMEMBERED_SECONDS = 24 * 3600.0

Answers = dict[str, tuple[OfferedToolkit | None, float]]


def read_offers(given: Given, doors: Doors) -> tuple[OfferedToolkit, ...]:
    """One for each toolkit that is missing and that a provider has; remembered for a day.

    Nobody is asked offline; a provider that cannot be asked offers nothing.
    """
    if doors.offline:
        return ()
    memory = doors.home.path / "offers.json"
    known = _read(memory)
    found: list[OfferedToolkit] = []
    for versions in missing_toolkits(given):
        for version in versions:
            kept = known.get(version)
            if kept is None or time() - kept[1] > REMEMBERED_SECONDS:
                kept = (_ask(version, doors), time())
                known[version] = kept
                write_atomically(memory, render_json(known))
            if kept[0] is not None:
                found.append(kept[0])
                break
    return tuple(found)


def _ask(version: str, doors: Doors) -> OfferedToolkit | None:
    try:
        answer = find_offer(Asked(version), doors)
    except Problem:
        return None
    if not isinstance(answer, Recipe):
        return None
    offer = answer.offer
    path = str(toolkits_of(doors.home) / offer.name)
    toolkit = Toolkit(minor_of(offer.nvcc), path, offer.nvcc)
    return OfferedToolkit(toolkit, offer.provider, offer.origin, offer.download_bytes)


def _read(memory: Path) -> Answers:
    try:
        return parse_json(memory.read_bytes(), Answers, origin=str(memory))
    except (OSError, Problem):
        return {}
