"""The launcher itself, compiled and in Python, and a real CMake project behind it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vllm_forge.plan.launcher import launcher_definitions
from vllm_forge.records.schedule import ScheduleRecord
from vllm_forge.run.process import run_command
from vllm_forge.run.scheduler import SchedulerSettings, make_launcher, scheduling
from vllm_forge.run.tools import build_variables, tool

if TYPE_CHECKING:
    from tests.real.scheduler.conftest import Graph

pytestmark = [pytest.mark.compile, pytest.mark.acceptance]

NO_COMPILER = "/nowhere/g++"


@pytest.fixture(scope="module", params=["g++", NO_COMPILER], ids=["compiled", "python"])
def launcher(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_launcher(
        tmp_path_factory.mktemp("home") / "forge-launch", request.param, run_command
    )


def launch(launcher: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [launcher, *words],
        capture_output=True,
        check=False,
        env={**os.environ, **variables},
        text=True,
    )


def test_without_a_broker_it_is_the_compiler(launcher: Path) -> None:
    done = launch(launcher, "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert launch(launcher, "sh", "-c", "kill -SEGV $$").returncode == 128 + signal.SIGSEGV
    missing = launch(launcher, "no-such-compiler")
    assert missing.returncode == 127
    assert "no-such-compiler" in missing.stderr
    assert launch(launcher).returncode != 0


def test_the_launcher_is_made_once_and_keeps_its_path(launcher: Path) -> None:
    before = launcher.stat()
    assert make_launcher(launcher, "g++", run_command) == launcher
    assert launcher.stat().st_mtime_ns == before.st_mtime_ns
    launcher.with_name("made-from").write_text("an older version")
    assert make_launcher(launcher, NO_COMPILER, run_command) == launcher
    assert launch(launcher, "true").returncode == 0


def settings_for(folder: Path, launcher: Path, cores: int = 2) -> SchedulerSettings:
    folder.mkdir(exist_ok=True, parents=True)
    return SchedulerSettings(
        build=folder,
        costs=folder / "costs.json",
        record=folder / "schedule.json",
        launcher=launcher,
        cores=cores,
    )


def test_the_broker_hears_what_a_compile_took(launcher: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.cpp"
    source.write_text('#include <regex>\nstd::regex one("a+");\n')
    target = tmp_path / "CMakeFiles" / "_C.dir" / "csrc" / "a.cpp.o"
    target.parent.mkdir(parents=True)
    with scheduling(settings_for(tmp_path, launcher)) as schedule:
        done = launch(
            launcher, "g++", "-O1", "-c", str(source), "-o", str(target), **schedule.variables
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert schedule.record is not None
    [one] = schedule.record.compiles
    assert (one.command.name, one.command.kind, one.code) == ("_C/csrc/a.cpp", "c++", 0)
    assert one.cpu_seconds > 0.1
    assert 30 << 20 < one.peak_bytes < 2 << 30
    assert one.started <= one.ended <= schedule.record.seconds


def test_a_failing_compile_fails_once(launcher: Path, tmp_path: Path) -> None:
    with scheduling(settings_for(tmp_path, launcher)) as schedule:
        done = launch(launcher, "sh", "-c", "echo no >&2; exit 4", **schedule.variables)
    assert (done.returncode, done.stderr) == (4, "no\n")
    assert schedule.record is not None
    assert [one.code for one in schedule.record.compiles] == [4]


def test_a_long_path_and_a_long_command_line(launcher: Path, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120) / "b"
    with scheduling(settings_for(deep, launcher)) as schedule:
        words = ["-DNAME=" + "x" * 100_000, "-c", "a.cpp", "-o", "a.o", "y" * 80_000]
        done = launch(launcher, "echo", *words, **schedule.variables)
    assert done.stdout == f"{' '.join(words)}\n"
    assert schedule.record is not None
    assert len(schedule.record.compiles) == 1


def test_those_that_wait_are_sent_home_when_the_build_ends(launcher: Path, tmp_path: Path) -> None:
    with scheduling(settings_for(tmp_path, launcher, cores=1)) as schedule:
        variables = {**os.environ, **schedule.variables}
        both = [subprocess.Popen([launcher, "sleep", "60"], env=variables) for _ in range(2)]
        until = time.monotonic() + 20
        while (schedule.look().waiting, len(schedule.look().at_work)) != (1, 1):
            assert time.monotonic() < until
            time.sleep(0.01)
        assert schedule.look().held == "the core is taken"
    codes = sorted(one.wait(timeout=5) for one in both)
    assert codes == [128 + signal.SIGKILL, 128 + signal.SIGTERM]


def configure(source: Path, build: Path, definitions: dict[str, str]) -> None:
    done = subprocess.run(
        [
            *(tool("cmake"), "-G", "Ninja", "-S", source, "-B", build),
            f"-DCMAKE_MAKE_PROGRAM={tool('ninja')}",
            *(f"-D{name}={value}" for name, value in definitions.items()),
        ],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def build(folder: Path, launcher: Path, *, ccache: Path | None = None) -> ScheduleRecord:
    settings = SchedulerSettings(
        build=folder,
        costs=folder / "costs.json",
        record=folder / "schedule.json",
        launcher=launcher,
        cores=2,
        ccache=ccache is not None,
    )
    with scheduling(settings) as schedule:
        more = {} if ccache is None else {"CCACHE_DIR": str(ccache), "CCACHE_DEPEND": "1"}
        more |= {} if ccache is None else {"VLLM_FORGE_CACHE": shutil.which("ccache") or ""}
        done = subprocess.run(
            [tool("ninja"), "-C", folder, f"-j{schedule.jobs}"],
            capture_output=True,
            check=False,
            env=build_variables(**schedule.variables, **more),
            text=True,
        )
    assert done.returncode == 0, done.stdout
    assert schedule.take_notes() == ()
    assert schedule.record is not None
    return schedule.record


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A CMake project with one extension of two files."""
    source = tmp_path / "project"
    (source / "csrc").mkdir(parents=True)
    (source / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.26)\nproject(tiny LANGUAGES CXX)\n"
        "add_library(_C MODULE csrc/short.cpp csrc/long.cpp)\n"
    )
    (source / "csrc" / "short.cpp").write_text("int one() { return 1; }\n")
    (source / "csrc" / "long.cpp").write_text('#include <regex>\nstd::regex two("a+");\n')
    return source


def test_a_real_build_is_recorded_and_learned(project: Path, launcher: Path) -> None:
    folder = project / "build"
    configure(project, folder, launcher_definitions(launcher, cuda=False))
    record = build(folder, launcher)
    assert {one.command.name for one in record.compiles} == {
        "_C/csrc/long.cpp",
        "_C/csrc/short.cpp",
        "lib_C/link",
    }
    assert {one.predicted.origin for one in record.compiles} == {"guessed"}
    assert record.unchanged == 0
    again = project / "csrc" / "long.cpp"
    again.write_text(f"{again.read_text()}// edited\n")
    record = build(folder, launcher)
    assert [one.command.name for one in record.compiles] == ["_C/csrc/long.cpp", "lib_C/link"]
    assert record.compiles[0].predicted.origin == "learned"
    assert record.unchanged == 1


@pytest.mark.skipif(shutil.which("ccache") is None, reason="ccache is not installed")
def test_behind_ccache_a_hit_holds_no_memory_back(project: Path, launcher: Path) -> None:
    cache = project / "cache"
    definitions = launcher_definitions(launcher, cuda=False)
    for number, cached in enumerate((False, True)):
        folder = project / f"build{number}"
        configure(project, folder, definitions)
        record = build(folder, launcher, ccache=cache)
        objects = [one for one in record.compiles if one.command.kind != "link"]
        assert [one.cached for one in objects] == [cached, cached]
        assert {one.command.cache for one in objects} == {"ccache"}
        assert max(one.peak_bytes for one in objects) > (0 if cached else 30 << 20)


def test_a_hundred_short_compiles_lose_little(make_graph: "Callable[..., Graph]") -> None:
    graph = make_graph({f"file{number}.cpp": "" for number in range(100)})
    graph.write(launched=True)
    rule = graph.folder / "build.ninja"
    rule.write_text(
        rule.read_text().replace(f"{graph.folder}/fake-g++ -O2 -c $in -o $out", "cp $in $out")
    )
    began = time.monotonic()
    driver = Path(__file__).with_name("driver.py")
    process = graph.begin([sys.executable, str(driver), str(graph.folder), "2"])
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert len(graph.record.compiles) == 100
    assert time.monotonic() - began < 10, "a broker that polls would take longer"
