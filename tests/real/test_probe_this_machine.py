"""The machine under the tests, against what other programs say of it."""

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vllm_forge.probe import parse_machine, read_machine
from vllm_forge.probe.answers import FILE_NAME
from vllm_forge.probe.cuda_tables import read_cuda_table
from vllm_forge.records.codec import render_json
from vllm_forge.records.doors import Completed
from vllm_forge.records.machine import Machine, Toolkit
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.resolve.cuda_facts import archs_of_toolkit, host_compiler_limit
from vllm_forge.run.process import run_command


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return read_machine(run_command, home=tmp_path_factory.mktemp("home"))


def test_the_same_as_the_system_says(machine: Machine) -> None:
    assert machine.cpu.arch == platform.machine()
    assert machine.cpu.cores is not None
    assert 1 <= machine.cpu.cores <= len(os.sched_getaffinity(0))
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert machine.memory.total_bytes == pytest.approx(total, rel=0.02)
    assert machine.root is (os.geteuid() == 0)
    assert machine.os is not None
    assert machine.os.id == platform.freedesktop_os_release()["ID"]
    assert machine.glibc == platform.libc_ver()[1]


def test_the_running_python_is_among_those_found(machine: Machine) -> None:
    version = ".".join(str(part) for part in sys.version_info[:3])
    found = {python.path: python.version for python in machine.pythons or ()}
    assert found[str(Path(sys.executable).resolve())] == version


def test_compilers_run_and_say_that_version(machine: Machine) -> None:
    assert machine.compilers is not None
    for compiler in machine.compilers:
        said = run_command([compiler.path, "--version"])
        assert compiler.version in said.stdout


def test_it_is_read_back_as_it_was_printed(machine: Machine) -> None:
    assert parse_machine(render_json(machine), "doctor.json") == machine


def test_a_warm_read_is_the_same(tmp_path: Path) -> None:
    first = read_machine(run_command, home=tmp_path)
    assert (tmp_path / FILE_NAME).is_file()
    last = read_machine(run_command, home=tmp_path)
    assert (last.pythons, last.compilers, last.tools) == (
        first.pythons,
        first.compilers,
        first.tools,
    )


def test_an_empty_path_still_gives_a_machine(tmp_path: Path) -> None:
    found = read_machine(run_command, home=tmp_path / "a/b/c", environ={"PATH": str(tmp_path)})
    assert found.compilers == ()
    assert found.tools.git is None
    assert found.disk.free_bytes is not None
    assert not (tmp_path / "a").exists()


def test_a_door_that_finds_nothing_never_makes_it_fail(tmp_path: Path) -> None:
    def closed(command: object, **_: object) -> Completed:
        return Completed(127, "", f"{command}: not found")

    found = read_machine(closed, home=tmp_path)
    assert (found.pythons, found.compilers, found.toolkits) == ((), (), ())


@pytest.mark.parametrize("answers", [True, False])
def test_the_index_is_asked_only_when_given(tmp_path: Path, *, answers: bool) -> None:
    asked: list[str] = []

    def read_url(url: str, **_: object) -> bytes:
        asked.append(url)
        if not answers:
            raise Problem("index cannot be reached", exit_code=ExitCode.UNREACHABLE)
        return b"{"

    environ = {"PATH": str(tmp_path)}
    silent = read_machine(run_command, home=tmp_path, read_url=read_url, environ=environ)
    assert (silent.reachable.index, asked) == (None, [])
    found = read_machine(
        run_command,
        home=tmp_path,
        read_url=read_url,
        index_url="file:///index/simple/",
        environ=environ,
    )
    assert (found.reachable.index, asked) == (answers, ["file:///index/simple/pip/"])
    assert found.reachable.code_host is None


@pytest.fixture(scope="module")
def toolkit(machine: Machine) -> Toolkit:
    if not machine.toolkits:
        pytest.skip("no CUDA toolkit on this machine")
    return machine.toolkits[0]


def test_the_table_says_what_this_nvcc_says(toolkit: Toolkit) -> None:
    nvcc = Path(toolkit.path) / "bin/nvcc"
    said = subprocess.run(
        [nvcc, "--list-gpu-arch"], capture_output=True, check=True, text=True
    ).stdout
    numbers = re.findall(r"compute_(\d+)(\d)\b", said)
    known = archs_of_toolkit(toolkit.version, read_cuda_table()).value or ()
    plain = {each for each in known if each[-1].isdigit()}
    assert plain == {f"{major}.{minor}" for major, minor in numbers}


def test_the_table_says_what_this_host_config_says(toolkit: Toolkit) -> None:
    header = next(Path(toolkit.path).glob("**/crt/host_config.h"), None)
    if header is None:
        pytest.skip(f"{toolkit.path} has no crt/host_config.h")
    gcc = re.search(r"__GNUC__ > (\d+)", header.read_text())
    limit = host_compiler_limit(toolkit.version, read_cuda_table()).value
    assert gcc is not None
    assert limit is not None
    assert limit.gcc == int(gcc[1])


def test_the_wrapper_on_path_leads_to_the_real_prefix(toolkit: Toolkit) -> None:
    if shutil.which("nvcc") is None:
        pytest.skip("no nvcc on PATH")
    assert (Path(toolkit.path) / "bin/nvcc").is_file()
    assert not Path(toolkit.path).is_symlink()
