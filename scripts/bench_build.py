"""The CPU target of vLLM 0.10.1 against its bound, and what doing nothing costs.

    python -m scripts.bench_build [--home DIR] [--runs N]

In a home without that build the compile is a real one (about three minutes on two cores);
otherwise its figures are those of its receipt.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FORGE = Path(sys.executable).parent / "vllm-forge"
BUILD = ["build", "--vllm", "0.10.1", "--device", "cpu", "--json"]


def run(home: Path, *words: str) -> tuple[float, str]:
    """Wall seconds and stdout of one `vllm-forge WORDS`."""
    started = time.perf_counter()
    done = subprocess.run(
        [FORGE, *words],
        env={**os.environ, "VLLM_FORGE_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return time.perf_counter() - started, done.stdout


def typical(home: Path, runs: int, *words: str) -> float:
    """Median wall seconds after one warm-up."""
    run(home, *words)
    return statistics.median(run(home, *words)[0] for _ in range(runs))


def interpreter(runs: int) -> float:
    """Seconds to start this Python and end it: below that no command can go."""

    def once() -> float:
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", ""], check=True)
        return time.perf_counter() - started

    return statistics.median(once() for _ in range(runs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--runs", type=int, default=7)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="forge-bench-") as folder:
        home = asked.home or Path(folder)
        document = json.loads(run(home, *BUILD)[1])
        compile_step = next(one for one in document["receipt"] if one["step"] == "compile")
        jobs = document["plan"]["choices"]["jobs"]["value"]
        floor = interpreter(asked.runs)
        print(f"python -c ''           {floor:8.3f} s  (the floor of what follows)")
        for name, words in {
            "--help": ["--help"],
            "plan, warm": ["plan", "--vllm", "0.10.1", "--device", "cpu", "--quiet"],
            "build, nothing changed": BUILD,
        }.items():
            seconds = typical(home, asked.runs, *words)
            print(f"{name:22} {seconds:8.3f} s  {seconds / floor:6.1f} × python -c ''")
        bound = float(compile_step["facts"]["bound_seconds"])
        record = home / "receipts" / document["plan"]["key"] / "schedule.json"
        makespan = float(json.loads(record.read_text())["seconds"])
        print(
            f"{'compile':22} {makespan:8.1f} s  {makespan / bound:6.2f} × its bound "
            f"{bound:.1f} s = max(longest file + link, ΣCPU / {jobs} jobs), "
            f"ΣCPU {compile_step['cpu_seconds']:.0f} s, "
            f"peak {compile_step['peak_bytes'] / 2**30:.1f} GiB\n"
            f"{'its whole step':22} {compile_step['seconds']:8.1f} s  "
            "(the first time with the trial of a compiler cache; with what the store keeps)"
        )


if __name__ == "__main__":
    main()
