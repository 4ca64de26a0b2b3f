"""The compiler caches side by side on the same rebuild.

    python -m scripts.bench_caches [--home HOME] [--files FILE,FILE] [--ways none,ccache,sccache]

Of every configured build folder in HOME/builds (which is only read) a few files are compiled by
their own command lines in fresh folders under the scheduler: with an empty cache, again in the
same folder, in another checkout, and after an edit that is reverted. Each is a ratio to compiling
without a cache. The store keeps whole extensions: `bench_loop` measures it.
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vllm_forge.records.schedule import CacheUse
from vllm_forge.run.caches import CacheWish, Compilers, caching
from vllm_forge.run.files import sha256_of
from vllm_forge.run.home import choose_home
from vllm_forge.run.process import run_command
from vllm_forge.run.scheduler import SchedulerSettings, make_launcher, scheduling
from vllm_forge.run.toolchain import find_programs, identify, is_gnu
from vllm_forge.run.tools import build_variables, tool

WAYS = ("none", "ccache", "sccache")
FILES = "cuda_utils_kernels.cu,permute_cols.cu,utils.cpp,cache.cpp"
"""Cheap ones of the CUDA target, and of the CPU target."""


@dataclass(frozen=True)
class File:
    """One compile as CMake would have it, without any launcher."""

    output: str
    words: str
    source: str


@dataclass
class Workshop:
    """Where one way is measured: fresh folders of one home."""

    home: Path
    files: Sequence[File]
    tree: Path
    compilers: Compilers
    launcher: Path
    seconds: dict[str, float] = field(default_factory=dict)

    def build(self, name: str, way: str, tree: Path) -> CacheUse | None:
        """Seconds that ninja takes for all files, under `seconds[name]`; what the cache says."""
        folder = self.home / way / tree.name / "build"
        self._write(folder, tree)
        wish = CacheWish(
            kind=None if way == "none" else way,
            required=True,
            folder=self.home / "caches",
            build=folder,
            launcher=self.launcher,
            compilers=self.compilers,
            roots={"tree": tree},
        )
        with caching(wish, run_command, print) as cache:
            settings = SchedulerSettings(
                build=folder,
                costs=self.home / "costs.json",
                record=folder / "schedule.json",
                launcher=self.launcher,
                cores=os.cpu_count() or 1,
                ccache=cache.asks_again,
                read_cache_use=cache.read_use,
            )
            with scheduling(settings) as schedule:
                began = time.perf_counter()
                done = subprocess.run(
                    [tool("ninja"), "-C", folder, f"-j{schedule.jobs}"],
                    env=build_variables(**{**cache.variables, **schedule.variables}),
                    check=False,
                    capture_output=True,
                    text=True,
                )
                self.seconds[name] = time.perf_counter() - began
        if done.returncode != 0:
            raise SystemExit(done.stdout[-3000:])
        return None if schedule.record is None else schedule.record.cache

    def _write(self, folder: Path, tree: Path) -> None:
        """A folder without objects, whose commands name this tree."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        lines = ["rule compile\n  command = $said\n  depfile = $out.d\n  deps = gcc"]
        for one in self.files:
            (folder / one.output).parent.mkdir(parents=True, exist_ok=True)
            said = one.words.replace(str(self.tree), str(tree)).replace("$", "$$")
            lines += [f"build {one.output}: compile", f"  said = {self.launcher} {said}"]
        (folder / "build.ninja").write_text("\n".join([*lines, ""]))


def read_files(build: Path, names: Sequence[str]) -> list[File]:
    """Those sources of `_C` that are named, with their command lines."""
    said = run_command([tool("ninja"), "-C", build, "-t", "compdb"], timeout=60).stdout
    found = {
        Path(entry["file"]).name: File(
            entry["output"], _without_launcher(entry["command"]), entry["file"]
        )
        for entry in json.loads(said)
        if entry["output"].startswith("CMakeFiles/_C.dir/") and entry["output"].endswith(".o")
    }
    return [found[name] for name in names if name in found]


def _without_launcher(command: str) -> str:
    words = command.split(" ")
    return " ".join(words[1:]) if words[0].endswith("/forge-launch") else command


@contextmanager
def two_checkouts(tree: Path, place: Path) -> Iterator[tuple[Path, Path]]:
    """Copies of the native sources, so that they may be edited."""
    copies = (place / "first", place / "second")
    for copy in copies:
        shutil.copytree(tree / "csrc", copy / "csrc")
    time.sleep(1.1)  # a cache does not trust what was written in the second before
    yield copies


def measure(way: str, shop: Workshop, copies: tuple[Path, Path]) -> Mapping[str, CacheUse | None]:
    first, second = copies
    edited = first / Path(shop.files[0].source).relative_to(shop.tree)
    text = edited.read_text()
    uses = {"empty": shop.build("empty", way, first)}
    if way != "none":
        uses["again"] = shop.build("again", way, first)
        uses["checkout"] = shop.build("checkout", way, second)
        edited.write_text(f"{text}\n// an edit\n")
        uses["edited"] = shop.build("edited", way, first)
        edited.write_text(text)
        time.sleep(1.1)
        uses["reverted"] = shop.build("reverted", way, first)
    return uses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--files", default=FILES)
    parser.add_argument("--ways", default=",".join(WAYS))
    asked = parser.parse_args()
    home = choose_home(asked.home)
    found = False
    for build in sorted(path.parent for path in home.glob("builds/*/build.ninja")):
        files = read_files(build, asked.files.split(","))
        if files:
            found = True
            print(f"{build.name}: {', '.join(Path(one.source).name for one in files)}")
            compare(files, asked.ways.split(","))
    if not found:
        print(f"did not run: no build folder in {home / 'builds'} compiles one of {asked.files}")


def compare(files: Sequence[File], ways: Sequence[str]) -> None:
    """Every way on the same files, each in ratio to the first one's first build."""
    tree = Path(files[0].source.partition("/csrc/")[0])
    nvcc = next((one.words.split(" ")[0] for one in files if one.source.endswith(".cu")), None)
    programs = find_programs("g++", nvcc, run_command)
    digests = {program: sha256_of(Path(program)) for program in programs}
    compilers = Compilers("g++", nvcc, identify(digests, ""), is_gnu(programs))
    plain = 0.0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        launcher = make_launcher(place / "launcher" / "forge-launch", "g++", run_command)
        with two_checkouts(tree, place) as copies:
            for way in ways:
                shop = Workshop(place, files, tree, compilers, launcher)
                uses = measure(way, shop, copies)
                plain = plain or shop.seconds["empty"]
                for name, seconds in shop.seconds.items():
                    print(told(way, name, seconds / plain, seconds, uses[name]), flush=True)


def told(way: str, name: str, ratio: float, seconds: float, use: CacheUse | None) -> str:
    answered = "" if use is None else f", answered {use.hits} of {use.hits + use.misses}"
    return f"  {way:8} {name:9} {seconds:7.2f} s, {ratio:6.3f} × plain{answered}"


if __name__ == "__main__":
    main()
