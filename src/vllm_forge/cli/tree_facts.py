"""The facts of a known release, from the shipped tables."""

from collections.abc import Callable

from vllm_forge.records.facts import ReadConfigured, TreeFacts
from vllm_forge.records.release import Configured, Release
from vllm_forge.records.torch import MissingName
from vllm_forge.release import (
    Question,
    read_known_configuration,
    read_known_missing,
    read_known_release,
)
from vllm_forge.resolve.torch import exact_version


def facts_of_release(version: str) -> TreeFacts | None:
    """From the shipped table; None for a release that it does not have."""
    release = read_known_release(version)
    if release is None:
        return None

    def missing(device: str, torch: str, sources: frozenset[str]) -> tuple[MissingName, ...] | None:
        if torch in pins_of(release, device):
            return ()
        return read_known_missing(version, device, torch, sources)

    configured = answered_by(lambda question: read_known_configuration(version, question))
    return TreeFacts(release, configured, missing)


def answered_by(answer: Callable[[Question], Configured | None]) -> ReadConfigured:
    def configured(
        device: str,
        *,
        nvcc: str | None = None,
        architectures: tuple[str, ...] = (),
        flags: tuple[str, ...] = (),
    ) -> Configured | None:
        return answer(
            Question(device=device, nvcc=nvcc, architectures=architectures, processor_flags=flags)
        )

    return configured


def pins_of(release: Release, device: str) -> set[str]:
    """The torch versions that the tree itself names for a device: what it is compiled with."""
    return {
        version
        for pin in release.torch
        if pin.role == device and (version := exact_version(pin)) is not None
    }
