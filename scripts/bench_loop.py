"""What a developer waits for: a new checkout, nothing changed, an edit, its revert.

    python -m scripts.bench_loop [--home DIR] [--cuda]

The CPU target of vLLM 0.10.1, or the recipe's CUDA build. Where the home has no such build one is
made first (CUDA's takes an hour). Each figure stands beside its bound, with the CPU time it took:
on a busy machine that says more.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

FORGE = Path(sys.executable).parent / "vllm-forge"
RELEASE = ("--vllm", "0.10.1")


@dataclass(frozen=True)
class Kind:
    """What is built, and a file of it that compiles fast."""

    words: tuple[str, ...]
    edited: str


CPU = Kind(("--device", "cpu"), "csrc/cpu/utils.cpp")
CUDA = Kind(
    ("--cuda", "12.4", "--gpu-arch", "8.9", "--torch", "2.7.1"), "csrc/cuda_utils_kernels.cu"
)


@dataclass(frozen=True)
class Took:
    """One `vllm-forge build`: its document, wall and CPU seconds of it and all it started."""

    document: dict[str, Any]
    wall: float
    cpu: float

    def step(self, name: str) -> dict[str, Any]:
        return next(one for one in self.document["receipt"] if one["step"] == name)

    @property
    def native(self) -> float:
        """Seconds of CMake and the compile."""
        return sum(float(self.step(name)["seconds"]) for name in ("configure", "compile"))


@dataclass(frozen=True)
class Bench:
    """A home with the release built, its key there, and a folder to work in."""

    home: Path
    kind: Kind
    folder: Path
    key: str = ""

    @property
    def tree(self) -> Path:
        return self.home / "sources" / self.key

    def build(self, *words: str | Path) -> Took:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        done = subprocess.run(
            [FORGE, "build", *words, *self.kind.words, "--json"],
            env={**os.environ, "VLLM_FORGE_HOME": str(self.home)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        wall = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Took(json.loads(done.stdout), wall, cpu)

    def build_copy(self, name: str, *words: str) -> Took:
        """The release's sources in `folder`/`name`, built in the environment beside it."""
        copy = self.folder / name
        shutil.copytree(self.tree, copy, ignore=shutil.ignore_patterns("*.so", "_version.py"))
        return self.build("--vllm", copy, "--env", self.folder / "env", *words)


def say(what: str, wall: float, cpu: float | None, bound: float, how: str) -> bool:
    """A line with the figure, its ratio to the bound, and how it came; whether it holds."""
    spent = "" if cpu is None else f", {cpu:.2f} CPU-s"
    ratio = f"{wall / bound:5.2f} × its bound {bound:.2f} s"
    print(f"{what:30} {wall:7.2f} s  {ratio}{spent}  ({how})", flush=True)
    return wall <= bound


def new_checkout(bench: Bench) -> bool:
    """The same native sources elsewhere, in an environment of its own: its native steps alone."""
    took = bench.build_copy("checkout")
    cmake = (bench.home / "builds" / took.document["plan"]["key"]).exists()
    how = f"{came(took)}, CMake {'ran' if cmake else 'was not started'}"
    return say("new checkout and environment", took.native, None, 2.0, how) and not cmake


def edit_and_revert(bench: Bench) -> bool:
    """One source file, in the tree whose objects are there; then as it was."""
    path = bench.tree / bench.kind.edited
    text = path.read_text()
    try:
        path.write_text(f"{text}// {time.time_ns()}\n")
        edit = bench.build(*RELEASE)
    finally:
        path.write_text(text)
    record = bench.home / "receipts" / edit.document["plan"]["key"] / "schedule.json"
    floor, how = floor_of(record)
    said = f"{how}; with its start"
    say(f"{bench.kind.edited} edited, build", edit.wall, edit.cpu, floor + 0.5, said)
    revert = bench.build(*RELEASE)
    return say("its revert", revert.wall, revert.cpu, 2.0, came(revert))


def watched_edit(bench: Bench) -> bool:
    """The same under `dev`, which has started and planned before: from the save to importable.

    In the new checkout. A first edit makes the objects that it never had.
    """
    checkout = bench.folder / "checkout"
    path = checkout / bench.kind.edited
    text = path.read_text()
    words: list[str | Path] = [
        "--vllm",
        checkout,
        "--env",
        bench.folder / "env",
        *bench.kind.words,
        "--json",
    ]
    with subprocess.Popen(
        [FORGE, "dev", *words],
        env={**os.environ, "VLLM_FORGE_HOME": str(bench.home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as dev:
        assert dev.stdout is not None  # noqa: S101 -- a pipe
        assert dev.stderr is not None  # noqa: S101 -- a pipe
        next(line for line in dev.stderr if line.startswith("watching "))
        threading.Thread(target=dev.stderr.read, daemon=True).start()
        saved = {}
        for _ in range(2):
            path.write_text(f"{text}// {time.time_ns()}\n")
            saved = json.loads(dev.stdout.readline())
        records = (bench.home / "receipts").glob("*/schedule.json")
        floor, how = floor_of(max(records, key=lambda one: one.stat().st_mtime_ns))
        held = say(f"{bench.kind.edited} saved, dev", saved["seconds"], None, floor + 0.5, how)
        path.write_text(text)
        reverted = json.loads(dev.stdout.readline())
        dev.send_signal(signal.SIGTERM)  # in a shell's background SIGINT is ignored
    how = f"{reverted['status']}, {len(reverted['compiled'])} compiled"
    return say("its revert, dev", reverted["seconds"], None, 2.0, how) and held


def floor_of(record: Path) -> tuple[float, str]:
    """Seconds of a build's commands one after the other, and what they were."""
    compiles = json.loads(record.read_text())["compiles"]
    floor = sum(one["ended"] - one["started"] for one in compiles)
    return floor, f"{len(compiles)} commands (file and link), {floor:.2f} s"


def came(took: Took) -> str:
    return "from the store" if took.step("compile")["facts"].get("from_store") else "compiled"


@contextmanager
def release_built(about: str | None, *, cuda: bool = False) -> Iterator[Bench]:
    """In the home asked for, else in a fresh one; with `cuda` that may be asked for too."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--home", type=Path)
    if cuda:
        parser.add_argument("--cuda", action="store_const", const=CUDA, default=CPU, dest="kind")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="forge-bench-") as scratch:
        folder = Path(scratch)
        bench = Bench(asked.home or folder / "home", asked.kind if cuda else CPU, folder)
        yield replace(bench, key=bench.build(*RELEASE).document["plan"]["key"])


def main() -> int:
    with release_built(__doc__, cuda=True) as bench:
        if not (bench.home / "builds" / bench.key / ".ninja_log").exists():
            print("the extension is from the store: compiling once for the objects", flush=True)
            edit_and_revert(bench)
        held = [new_checkout(bench)]
        bench.build(*RELEASE)
        nothing = bench.build(*RELEASE)
        held.append(say("nothing changed", nothing.wall, nothing.cpu, 0.2, "no process started"))
        held += [edit_and_revert(bench), watched_edit(bench)]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
