"""Receipts on disk, and the question whether one still holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vllm_forge.records.codec import parse_json, render_json
from vllm_forge.records.plan import Compile, Plan, Reuse, Step
from vllm_forge.records.problem import Problem
from vllm_forge.records.receipt import Made, Receipt
from vllm_forge.run.files import sha256_of, write_atomically
from vllm_forge.run.inputs import read_inputs, read_stat_digest

SOURCES_WRITTEN = "native sources were written"


@dataclass(frozen=True, slots=True)
class Mark:
    """What a receipt is held to: a fingerprint, and the tree whose native sources count."""

    step: str
    fingerprint: str
    native: str | None = None


def marks_of(plan: Plan) -> tuple[Mark, ...]:
    """One for each step, in order.

    Native sources count for a compile, whose mark leads to a new plan; for a reuse where nothing
    is compiled.
    """
    compiles = any(isinstance(step.action, Compile) for step in plan.steps)
    return tuple(
        Mark(step.name, step.fingerprint, _native(step, compiles=compiles)) for step in plan.steps
    )


def _native(step: Step, *, compiles: bool) -> str | None:
    match step.action:
        case Compile(source=source):
            return source
        case Reuse(source=source) if not compiles:
            return source
        case _:
            return None


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


def why_redo(mark: Mark, receipt: Receipt | None) -> str | None:
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
    if mark.native and receipt.facts.get("inputs_stat") != read_stat_digest(Path(mark.native)):
        return SOURCES_WRITTEN
    return None


def why_redo_any(marks: Sequence[Mark], folder: Path) -> str | None:
    """None when nothing is to be done, else the first step's reason."""
    for mark in marks:
        receipt = read_receipt(folder, mark.step)
        reason = why_redo(mark, receipt)
        if reason is not None and not only_touched(mark, receipt, reason):
            return f"{mark.step}: {reason}"
    return None


def only_touched(mark: Mark, receipt: Receipt | None, reason: str) -> bool:
    """Whether the sources were written, but with the same bytes: the content digest decides."""
    return (
        reason == SOURCES_WRITTEN
        and receipt is not None
        and receipt.facts.get("inputs_content") == read_inputs(Path(mark.native or "")).content
    )
