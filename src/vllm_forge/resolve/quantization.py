"""What the checkpoint asks of the build: the release that loads it, and the argument it needs."""

from collections.abc import Callable

from vllm_forge.records.checkpoint import Checkpoint, Verdict, VerdictWord
from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.release import Release
from vllm_forge.records.wishes import Device
from vllm_forge.resolve.match import choose_verdict

SUBJECT = "quantization"

PREFERENCE = (
    VerdictWord.NATIVE,
    VerdictWord.ARGUMENT,
    VerdictWord.REPAIR,
    VerdictWord.EMULATED,
)
"""Best first; the fallback last, because it gives up what the format is for."""


def choose_quantization(
    checkpoint: Checkpoint, release: Release, device: Device, capabilities: tuple[str, ...]
) -> Decision[str | None]:
    """The value for `quantization=`, None where none is to be passed.

    The GPU with the lowest capability decides. On a CPU the checkpoint is dequantized before it
    runs, so that no release has to read its quantization there.
    """
    if device is Device.CPU:
        reason = Reason("on a CPU the checkpoint runs dequantized", "docs/run.md")
        return Chosen(SUBJECT, None, (reason,))
    verdict = _verdict(checkpoint, release, capabilities)
    if verdict.verdict is VerdictWord.REFUSED:
        return Refused(SUBJECT, verdict.because)
    warnings: tuple[str, ...] = ()
    if verdict.verdict is VerdictWord.REPAIR:
        warnings = (
            "the checkpoint has to be repaired first: `vllm-forge repair`, or `run` does it",
        )
    if verdict.verdict is VerdictWord.EMULATED:
        warnings = ("this GPU has no kernels for the format: it runs weight-only, through Marlin",)
    return Chosen(SUBJECT, verdict.quantization, verdict.because, warnings)


def rank_releases(
    checkpoint: Checkpoint,
    known: tuple[str, ...],
    release_of: Callable[[str], Release | None],
    capabilities: tuple[str, ...],
) -> tuple[str, ...]:
    """Releases that load it, best verdict first, among equals the newest; the refused are left out.

    `known` is oldest first.
    """
    found: list[tuple[int, str]] = []
    for version in reversed(known):
        release = release_of(version)
        if release is None:
            continue
        word = _verdict(checkpoint, release, capabilities).verdict
        if word in PREFERENCE:
            found.append((PREFERENCE.index(word), version))
    return tuple(version for _, version in sorted(found, key=lambda one: one[0]))


def _verdict(checkpoint: Checkpoint, release: Release, capabilities: tuple[str, ...]) -> Verdict:
    lowest = min(capabilities, key=_number, default=None)
    return choose_verdict(checkpoint, release, lowest)


def _number(capability: str) -> tuple[int, ...]:
    return tuple(int(part) for part in capability.split("."))
