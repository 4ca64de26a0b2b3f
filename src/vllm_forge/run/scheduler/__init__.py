"""Compiles start when their memory fits: a broker, and a launcher in front of every compiler."""

from vllm_forge.run.scheduler.install import launcher_definitions, make_launcher
from vllm_forge.run.scheduler.kept import RECORD, read_receipts, read_record
from vllm_forge.run.scheduler.schedule import Schedule, SchedulerSettings, scheduling

__all__ = [
    "RECORD",
    "Schedule",
    "SchedulerSettings",
    "launcher_definitions",
    "make_launcher",
    "read_receipts",
    "read_record",
    "scheduling",
]
