"""Ratios and bounds, measured in one run on this machine: `make bench`.

    python -m scripts.bench [--home DIR] [PART ...]

Each part is a script of its own with the home as its only argument; without --home a fresh one is
made and all of them share it. Parts that cannot run here say so. `make bench ARGS="build loop"`.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PARTS = {
    "build": "the CPU target against its bound; doing nothing",
    "loop": "a new checkout, nothing changed, an edit, its revert",
    "rebuild": "the whole CPU target in a new checkout: ccache, sccache, the store",
    "caches": "ccache and sccache on the same files: empty, again, another checkout, a revert",
    "scheduler": "simulated machines, cache hits, little memory with pretended compilers",
    "memory": "twelve real CUDA files in 9 GB: plain ninja and the scheduler (an hour)",
}
"""Part → what it measures; its script is `bench_PART.py`."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART")
    asked = parser.parse_args()
    failed = []
    with tempfile.TemporaryDirectory(prefix="forge-bench-") as folder:
        home = asked.home or Path(folder)
        for part in asked.parts or PARTS:
            print(f"== {part}: {PARTS[part]}", flush=True)
            began = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-m", f"scripts.bench_{part}", "--home", home], check=False
            )
            print(f"   ({time.monotonic() - began:.0f} s)", flush=True)
            if done.returncode:
                failed.append(part)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
