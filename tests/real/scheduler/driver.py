"""ninja under the scheduler, as the build runs it: `driver.py FOLDER CORES [MEMORY-BYTES]`.

Prints what was to be said, one line each.
"""

import sys
from pathlib import Path

from vllm_forge.run.process import work
from vllm_forge.run.scheduler import SchedulerSettings, scheduling
from vllm_forge.run.tools import build_variables, tool


def main(folder: Path, cores: int, memory_bytes: int | None) -> int:
    settings = SchedulerSettings(
        build=folder,
        costs=folder / "costs.json",
        record=folder / "schedule.json",
        launcher=folder / "launcher" / "forge-launch",
        cores=cores,
        memory_bytes=memory_bytes,
    )
    with scheduling(settings) as schedule:

        def tell(_process: int) -> None:
            for note in schedule.take_notes():
                print(note, flush=True)  # noqa: T201 -- a program of its own

        worked = work(
            [tool("ninja"), "-C", folder, f"-j{schedule.jobs}"],
            log=folder / "ninja.log",
            env=build_variables(**schedule.variables),
            on_tick=tell,
        )
    tell(0)
    return worked.code


given = sys.argv[3:]
sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(given[0]) if given else None))
