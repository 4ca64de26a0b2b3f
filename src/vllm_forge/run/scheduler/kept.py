"""A build's schedule, beside its receipts."""

from pathlib import Path
from typing import Final

from vllm_forge.records.codec import parse_json
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.receipt import Receipt
from vllm_forge.records.schedule import ScheduleRecord
from vllm_forge.run.outcomes import LAST_BUILD
from vllm_forge.run.receipts import read_receipt

RECORD: Final = "schedule.json"


def read_record(path: Path) -> ScheduleRecord:
    """The schedule of the last compile.

    Raises:
        Problem: exit 2 where nothing was compiled, exit 5 for a damaged file.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise Problem(
            f"no compile was recorded: {path}: {error.strerror}",
            hints=("vllm-forge build",),
            exit_code=ExitCode.USAGE,
        ) from error
    return parse_json(text, ScheduleRecord, origin=str(path))


def read_latest(folder: Path) -> ScheduleRecord | None:
    """The schedule in a receipts folder; None where there is none, or a damaged one."""
    try:
        return read_record(folder / RECORD)
    except Problem:
        return None


def read_receipts(folder: Path) -> tuple[Receipt, ...]:
    """Every step's that holds one, in the order they were finished."""
    names = (path.stem for path in folder.glob("*.json") if path.name not in {RECORD, LAST_BUILD})
    found = (read_receipt(folder, name) for name in names)
    kept = [receipt for receipt in found if receipt is not None]
    return tuple(sorted(kept, key=lambda receipt: receipt.finished))
