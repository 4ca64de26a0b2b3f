"""A ninja graph whose compiles hold real memory for real seconds, in front of them the launcher."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vllm_forge.records.codec import parse_json, render_json
from vllm_forge.records.schedule import ScheduleRecord
from vllm_forge.run.process import run_command
from vllm_forge.run.scheduler.install import make_launcher
from vllm_forge.run.scheduler.learned import Learned
from vllm_forge.run.tools import tool

HERE = Path(__file__).parent
MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")
PATIENCE = 60.0


@dataclass
class Graph:
    """A build folder with one object for each of `sources` (name → what the fake compiler does)."""

    folder: Path
    sources: Mapping[str, str]
    group: Path | None = None
    """A memory cgroup that everything is run in."""
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def write(self, *, launched: bool) -> None:
        """build.ninja, as CMake names sources and objects."""
        compiler = self.folder / "fake-g++"
        compiler.write_text(f"#!{sys.executable} -IS\n{(HERE / 'fake_compiler.py').read_text()}")
        compiler.chmod(0o755)
        before = f"{self.folder}/launcher/forge-launch " if launched else ""
        lines = [f"rule compile\n  command = {before}{compiler} -O2 -c $in -o $out"]
        (self.folder / "csrc").mkdir(exist_ok=True)
        for name, said in self.sources.items():
            (self.folder / "csrc" / name).write_text(said)
            lines.append(f"build CMakeFiles/_C.dir/csrc/{name}.o: compile csrc/{name}")
        (self.folder / "build.ninja").write_text("\n".join([*lines, ""]))

    def learn(
        self, costs: Mapping[str, tuple[float, int]], after: Mapping[str, int] | None = None
    ) -> None:
        """Say beforehand what files take: name → (seconds, MiB), and MiB after the peak."""
        known = {
            f"_C/csrc/{name}|c++ -O2": Learned(
                seconds,
                mebibytes << 20,
                after_peak_bytes=after[name] << 20 if after else None,
            )
            for name, (seconds, mebibytes) in costs.items()
        }
        (self.folder / "costs.json").write_text(render_json(known))

    def stock(self, jobs: int) -> int:
        """Plain ninja; its exit code."""
        self.write(launched=False)
        return self.begin([str(tool("ninja")), "-C", str(self.folder), f"-j{jobs}", "-k0"]).wait()

    def start(self, cores: int, memory: int | None = None) -> "subprocess.Popen[str]":
        """ninja under the scheduler; its notes come out of stdout."""
        self.write(launched=True)
        more = [] if memory is None else [str(memory)]
        driver = [sys.executable, str(HERE / "driver.py"), str(self.folder), str(cores), *more]
        return self.begin(driver)

    def begin(
        self, command: list[str], env: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[str]":
        """Any process, ended with the test."""
        enter = "" if self.group is None else f"echo $$ > {self.group}/cgroup.procs && "
        process = subprocess.Popen(
            ["sh", "-c", f'{enter}exec "$@"', "sh", *command],
            env=env,
            start_new_session=True,
            stderr=subprocess.STDOUT,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def run(self, cores: int, memory: int | None = None) -> tuple[int, str]:
        """(exit code, notes)."""
        process = self.start(cores, memory)
        said, _ = process.communicate(timeout=PATIENCE)
        return process.returncode, said

    @property
    def record(self) -> ScheduleRecord:
        path = self.folder / "schedule.json"
        return parse_json(path.read_bytes(), ScheduleRecord, origin=str(path))

    @property
    def made(self) -> set[str]:
        return {path.name.removesuffix(".o") for path in self.folder.rglob("*.o")}

    def processes(self) -> list[str]:
        """Command lines of every live process that names this folder, ours excepted."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                if entry.name != str(os.getpid()) and any(str(self.folder) in one for one in words):
                    found.append(f"{entry.name}: {' '.join(words)}")
        return found

    def expect_nobody(self) -> None:
        self.wait_until(lambda: not self.processes(), "every process of the graph to end")

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < until, f"waited in vain for {what}"
            time.sleep(0.02)


@pytest.fixture(scope="session")
def launcher_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("launcher-home")
    make_launcher(home / "launcher" / "forge-launch", "g++", run_command)
    return home


@pytest.fixture
def make_graph(tmp_path: Path, launcher_home: Path) -> Iterator[Callable[..., Graph]]:
    made: list[Graph] = []

    def make(sources: Mapping[str, str], group: Path | None = None) -> Graph:
        graph = Graph(tmp_path, sources, group)
        shutil.copytree(launcher_home / "launcher", tmp_path / "launcher", dirs_exist_ok=True)
        made.append(graph)
        return graph

    yield make
    for graph in made:
        for process in graph.started:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        graph.expect_nobody()


@pytest.fixture
def gibibyte_group() -> Iterator[Path]:
    """A memory cgroup (version 1) of 1 GiB; skipped where none can be made."""
    group = MEMORY_GROUPS / "forge-scheduler"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(1 << 30))
    except OSError as error:
        pytest.skip(f"no memory cgroup can be made here: {error}")
    yield group
    for _ in range(100):
        with contextlib.suppress(OSError):
            group.rmdir()
            return
        time.sleep(0.1)
    pytest.fail(f"{group} is still in use")
