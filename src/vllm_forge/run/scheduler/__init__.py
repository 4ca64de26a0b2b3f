"""Compiles start when their memory fits: a broker, and a launcher in front of every compiler."""

from vllm_forge.run.scheduler.floor import Snapshot
from vllm_forge.run.scheduler.install import make_launcher
from vllm_forge.run.scheduler.kept import RECORD, read_latest, read_receipts, read_record
from vllm_forge.run.scheduler.schedule import Schedule, SchedulerSettings, scheduling

__all__ = [
    "RECORD",
    "Schedule",
    "SchedulerSettings",
    "Snapshot",
    "make_launcher",
    "read_latest",
    "read_receipts",
    "read_record",
    "scheduling",
]
