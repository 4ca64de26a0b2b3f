"""Receipts on disk, and the question whether one still holds."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vllm_forge.records.codec import parse_json, render_json
from vllm_forge.records.problem import Problem
from vllm_forge.records.receipt import Made, Receipt
from vllm_forge.run.files import sha256_of, write_atomically
from vllm_forge.run.toolchain import render_obeyed
from vllm_forge.run.watched import (
    compare,
    find_first,
    put_times_back,
    read_watched,
    watch_again,
    write_watched,
)

WRITTEN = " was written"
"""How a reason ends that content may yet refute."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a receipt is held to: a fingerprint; `watched`: the files it was made from, too."""

    step: str
    fingerprint: str
    watched: bool = False


def read_receipt(folder: Path, step: str) -> Receipt | None:
    """None where there is none, or an unreadable one: then the step is done again."""
    path = folder / f"{step}.json"
    try:
        return parse_json(path.read_bytes(), Receipt, origin=str(path))
    except (OSError, Problem):
        return None


def write_receipt(folder: Path, receipt: Receipt) -> None:
    """Atomic: a step counts as done from this moment on."""
    write_atomically(folder / f"{receipt.step}.json", render_json(receipt))


def made(path: Path, *, hashed: bool = False) -> Made:
    """A `Made` of a file or a folder (a folder's size is not summed)."""
    stat = path.stat()
    return Made(
        path=str(path),
        size=stat.st_size if path.is_file() else 0,
        mtime_ns=stat.st_mtime_ns if path.is_file() else 0,
        sha256=sha256_of(path) if hashed else None,
    )


def why_redo(mark: Mark, receipt: Receipt | None, folder: Path) -> str | None:
    """The reason a step has to be done (again), None when its receipt holds."""
    if receipt is None:
        return "not done yet"
    if receipt.fingerprint != mark.fingerprint:
        return "what it is made from changed"
    for thing in receipt.made:
        path = Path(thing.path)
        if not path.exists():
            return f"{path} is gone"
        now = made(path)
        if now.size != thing.size:
            return f"{path} changed size"
        if now.mtime_ns != thing.mtime_ns and thing.sha256 not in {None, sha256_of(path)}:
            return f"{path} changed"
    if not mark.watched:
        return None
    watched = read_watched(folder, mark.step)
    if watched is None:
        return "what it was made from is not known"
    if watched.variables != render_obeyed(os.environ):
        return "a variable that compilers obey changed"
    first = find_first(watched)
    return None if first is None else f"{first}{WRITTEN}"


def why_redo_any(marks: Sequence[Mark], folder: Path) -> str | None:
    """None when nothing is to be done, else the first step's reason."""
    for mark in marks:
        receipt = read_receipt(folder, mark.step)
        reason = why_redo(mark, receipt, folder)
        if reason is not None and not only_touched(mark, reason, folder):
            return f"{mark.step}: {reason}"
    return None


def only_touched(mark: Mark, reason: str, folder: Path) -> bool:
    """Whether files were written, but with the same bytes; ours get their old times back."""
    if not reason.endswith(WRITTEN):
        return False
    watched = read_watched(folder, mark.step)
    if watched is None:
        return False
    now = watch_again(watched, os.environ)
    change = compare(watched, now)
    if change.matters:
        return False
    put_times_back(watched, change.touched)
    write_watched(folder, mark.step, watch_again(now, os.environ))
    return True
