"""A corrected view of a checkpoint: links to its weights, its JSON put right, itself untouched."""

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from vllm_forge.checkpoint.documents import read_document, regular_size
from vllm_forge.checkpoint.read import read_checkpoint
from vllm_forge.records.checkpoint import Act, Change, Verdict, VerdictWord
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.release import Release
from vllm_forge.resolve.match import choose_verdict
from vllm_forge.run.files import made_atomically

LINKED_FROM: Final = 64 << 20
"""Bytes; smaller files are copied, because editing a hard link edits the original."""
LOADS: Final = {VerdictWord.NATIVE, VerdictWord.ARGUMENT, VerdictWord.EMULATED}


def repair(
    checkpoint: Path, output: Path, release: Release, *, prefer: str | None = None
) -> tuple[Change, ...]:
    """Make `output`, which `release` loads, and return what differs; nothing, when nothing had to.

    The view is read back and judged again before it gets its name. `prefer` names the metadata
    file that is right, where the two contradict each other.

    Raises:
        Problem: exit 5 for a damaged checkpoint; 3 when no repair makes it load, or two different
            ones would; 2 when `output` exists or lies in the checkpoint; 4 when it cannot be
            written.
    """
    verdict = choose_verdict(read_checkpoint(checkpoint), release, prefer=prefer)
    refuse_unrepairable(checkpoint, verdict)
    refuse_output(checkpoint, output)
    try:
        with made_atomically(output) as half:
            make_view(checkpoint, half, verdict.changes)
            again = choose_verdict(read_checkpoint(half), release)
            if again.verdict not in LOADS:
                raise Problem(
                    f"{checkpoint}: the repaired view would still be judged {again.verdict}",
                    causes=tuple(reason.fact for reason in again.because),
                    exit_code=ExitCode.BUG,
                )
    except OSError as error:
        raise unwritable(output, error) from error
    return verdict.changes


def refuse_unrepairable(checkpoint: Path, verdict: Verdict) -> None:
    """Two possible repairs, or none."""
    if verdict.contradictions:
        raise Problem(
            f"{checkpoint}: its two metadata files contradict each other; either could be right",
            causes=verdict.contradictions,
            hints=(
                "vllm-forge repair … --prefer config.json",
                "vllm-forge repair … --prefer hf_quant_config.json",
            ),
            exit_code=ExitCode.REFUSED,
        )
    if verdict.verdict is VerdictWord.REFUSED:
        raise Problem(
            f"{checkpoint}: no change of its metadata makes vLLM {verdict.version} load it",
            causes=tuple(f"{reason.fact} ({reason.source})" for reason in verdict.because),
            hints=(f"vllm-forge dequantize {checkpoint} --output DIR",),
            exit_code=ExitCode.REFUSED,
        )


def refuse_output(checkpoint: Path, output: Path) -> None:
    """The output is a new folder, and no part of the original."""
    if output.exists() or output.is_symlink():
        raise Problem(f"{output} is already there", exit_code=ExitCode.USAGE)
    if output.resolve().is_relative_to(checkpoint.resolve()):
        raise Problem(
            f"{output} lies in the checkpoint itself, which is not to be changed",
            hints=("choose a folder outside it",),
            exit_code=ExitCode.USAGE,
        )


def unwritable(output: Path, error: OSError) -> Problem:
    return Problem(
        f"{output} cannot be written: {error.strerror or error}", exit_code=ExitCode.UNREACHABLE
    )


def make_view(checkpoint: Path, view: Path, changes: tuple[Change, ...]) -> None:
    """Fill the empty folder `view`."""
    changed = {change.file for change in changes}
    needed = changed | {change.source_file for change in changes if change.source_file}
    documents = {
        name: read_document(checkpoint / name) for name in needed if (checkpoint / name).exists()
    }
    for name, document in apply_changes(documents, changes).items():
        if name in changed:
            text = json.dumps(document, indent=2, ensure_ascii=False)
            (view / name).write_text(f"{text}\n", encoding="utf-8")
    for entry in sorted(checkpoint.iterdir()):
        if entry.name in changed or entry.name.startswith("."):
            continue
        if entry.is_dir():
            (view / entry.name).symlink_to(entry.resolve(), target_is_directory=True)
        else:
            regular_size(entry)
            bring(entry.resolve(), view / entry.name)


def bring(original: Path, place: Path) -> None:
    """Link what is large or weights, copy the rest; a symbolic link where a hard one cannot be."""
    if place.suffix != ".safetensors" and original.stat().st_size < LINKED_FROM:
        shutil.copyfile(original, place)
        return
    try:
        os.link(original, place)
    except OSError:  # another file system, or one without hard links, or somebody else's file
        place.symlink_to(original)


def apply_changes(
    documents: dict[str, dict[str, Any]], changes: Iterable[Change]
) -> dict[str, dict[str, Any]]:
    """Documents by file name, corrected; a removed file is left out. The input stays as it is."""
    corrected: dict[str, dict[str, Any]] = json.loads(json.dumps(documents))
    for change in changes:
        match change.act:
            case Act.REMOVE if not change.at:
                corrected.pop(change.file, None)
            case Act.REMOVE:
                holder(corrected, change).pop(change.at[-1], None)
            case Act.SET if not change.at:
                corrected[change.file] = json.loads(json.dumps(change.value))
            case Act.SET:
                holder(corrected, change)[change.at[-1]] = json.loads(json.dumps(change.value))
            case Act.COPY:
                value: Any = documents[change.source_file or ""]
                for key in change.source_at:
                    value = value[key]
                holder(corrected, change)[change.at[-1]] = json.loads(json.dumps(value))
    return corrected


def holder(documents: dict[str, dict[str, Any]], change: Change) -> dict[str, Any]:
    """The object that holds the last key of `change.at`, made where it is missing."""
    place = documents.setdefault(change.file, {})
    for key in change.at[:-1]:
        place = place.setdefault(key, {})
    return place
