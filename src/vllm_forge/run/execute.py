"""Do the plan's steps: each skipped with its reason when its receipt holds, else done once."""

from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic

from vllm_forge.records.event import Note, StepFailed, StepFinished, StepSkipped, StepStarted
from vllm_forge.records.plan import Plan, Step
from vllm_forge.records.problem import Problem
from vllm_forge.records.receipt import Receipt
from vllm_forge.run.doors import Doors
from vllm_forge.run.files import DISK_FAULTS, disk_failed
from vllm_forge.run.lock import locked
from vllm_forge.run.marks import marks_of
from vllm_forge.run.outcomes import Outcomes
from vllm_forge.run.receipts import (
    Mark,
    only_touched,
    read_receipt,
    why_redo,
    write_receipt,
)
from vllm_forge.run.steps import do_step
from vllm_forge.run.watched import write_watched


def execute(plan: Plan, doors: Doors) -> tuple[Receipt, ...]:
    """Do every step of the plan, in order, under one lock for its key.

    Raises:
        Problem: of the step that failed; receipts of those before it stay.
    """

    def waiting(message: str) -> None:
        doors.emit(Note(monotonic(), message))

    with locked(doors.home.lock(plan.key), on_wait=waiting):
        receipts: dict[str, Receipt] = {}
        outcomes = Outcomes(plan, doors.emit)
        heard = replace(doors, emit=outcomes.emit)
        try:
            for step, mark in zip(plan.steps, marks_of(plan), strict=True):
                receipts[step.name] = _one(step, mark, plan, heard, receipts)
        finally:
            outcomes.keep(doors.home.receipts(plan.key))
        return tuple(receipts.values())


def _one(step: Step, mark: Mark, plan: Plan, doors: Doors, receipts: dict[str, Receipt]) -> Receipt:
    folder = doors.home.receipts(plan.key)
    kept = read_receipt(folder, step.name)
    reason = why_redo(mark, kept, folder)
    if kept is not None and reason is not None and only_touched(mark, reason, folder):
        reason = None
    if reason is None and kept is not None:
        doors.emit(StepSkipped(step.name, step.title, "unchanged since it was done", monotonic()))
        return kept
    again = "" if kept is None else reason or ""
    doors.emit(StepStarted(step.name, step.title, monotonic(), again))
    log = doors.home.logs(plan.key) / f"{step.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    (folder / f"{step.name}.json").unlink(missing_ok=True)
    started = monotonic()
    try:
        done = do_step(step, plan, doors, receipts, log)
        receipt = Receipt(
            step=step.name,
            fingerprint=mark.fingerprint,
            made=done.made,
            seconds=round(monotonic() - started, 3),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            facts=dict(done.facts or {}),
            cpu_seconds=done.cpu_seconds,
            peak_bytes=done.peak_bytes,
        )
        if done.watched is not None:
            write_watched(folder, step.name, done.watched)
        write_receipt(folder, receipt)
    except Problem as problem:
        problem.log = str(log)
        doors.emit(StepFailed(step.name, monotonic(), problem.message, str(log)))
        raise
    except OSError as error:
        if error.errno not in DISK_FAULTS:
            raise
        failed = disk_failed(error, doors.home.path)
        doors.emit(StepFailed(step.name, monotonic(), failed.message, str(log)))
        raise failed from error
    doors.emit(StepFinished(step.name, monotonic(), done.summary))
    return receipt
