"""Compilers, Pythons, toolkits and tools in folders made for the purpose."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from vllm_forge.probe import compiler, python, toolkit, tools
from vllm_forge.probe.answers import Answer, Answers
from vllm_forge.probe.programs import parse_path, read_programs
from vllm_forge.records.machine import Compiler
from vllm_forge.run.process import run_command

Write = Callable[[str, str], Path]


@pytest.fixture
def answers() -> Answers:
    return Answers(run_command, environ={"PATH": "/usr/bin:/bin"}, kept={})


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def script(name: str, body: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    return script


def test_compilers_once_each_under_their_plain_name(
    tmp_path: Path, write: Write, answers: Answers
) -> None:
    write("bin/x86_64-linux-gnu-g++-12", "echo 'g++-12 (Debian 12.2.0-14) 12.2.0'")
    (tmp_path / "bin/g++-12").symlink_to("x86_64-linux-gnu-g++-12")
    (tmp_path / "bin/g++").symlink_to("g++-12")
    write("bin/clang", "echo 'Debian clang version 16.0.6'")
    (tmp_path / "bin/clang++").symlink_to("clang")
    write("bin/ccache", "echo 'ccache version 4.7.5'")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/g++").symlink_to("../bin/ccache")
    write("bin/gcc-9", "exit 1")
    (tmp_path / "bin/gcc-10").write_text("not executable")
    programs = read_programs((tmp_path / "lib", tmp_path / "bin"))
    assert compiler.read_compilers(programs, answers, {}) == (
        Compiler("clang", "16.0.6", str(tmp_path / "bin/clang")),
        Compiler("clang++", "16.0.6", str(tmp_path / "bin/clang++")),
        Compiler("g++", "12.2.0", str(tmp_path / "bin/g++")),
    )


def test_the_compiler_that_cxx_names_comes_first(
    tmp_path: Path, write: Write, answers: Answers
) -> None:
    mine = write("opt/g++", "echo 'g++ (conda-forge gcc 13.3.0-1) 13.3.0'")
    write("bin/g++", "echo 'g++ (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0'")
    found = compiler.read_compilers(
        read_programs((tmp_path / "bin",)), answers, {"CXX": str(mine), "CC": "ccache gcc"}
    )
    assert [each.version for each in found] == ["13.3.0", "11.4.0"]


def test_toolkits_by_real_prefix_behind_links_and_wrappers(tmp_path: Path, write: Write) -> None:
    real = tmp_path / "usr/local/cuda-12.4/bin/nvcc"
    real.parent.mkdir(parents=True)
    real.write_bytes(Path("/bin/true").read_bytes())  # a program, not a script: its prefix is known
    real.chmod(0o755)
    state = real.stat()
    said = "Cuda compilation tools, release 12.4, V12.4.131\n"
    question = f"{real}\0--version"
    kept = {question: Answer(state.st_mtime_ns, state.st_size, said, "")}
    answers = Answers(run_command, environ={"PATH": "/usr/bin:/bin"}, kept=kept)
    (tmp_path / "usr/local/cuda").symlink_to("cuda-12.4")
    wrapper = write("bin/nvcc", f"echo '#$ _HERE_={real.parent}' >&2")
    found = toolkit.read_toolkits(
        read_programs((wrapper.parent,)),
        answers,
        {"CUDA_HOME": str(tmp_path / "usr/local/cuda"), "CUDA_PATH": str(tmp_path / "gone")},
        tmp_path / "home",
        root=tmp_path,
    )
    assert [(each.version, each.path, each.nvcc) for each in found] == [
        ("12.4", str(tmp_path / "usr/local/cuda-12.4"), "12.4.131")
    ]


def test_a_wrapper_that_leads_nowhere_is_no_toolkit(
    tmp_path: Path, write: Write, answers: Answers
) -> None:
    write("bin/nvcc", "echo broken; exit 1")
    programs = read_programs((tmp_path / "bin",))
    assert toolkit.read_toolkits(programs, answers, {}, tmp_path / "home", root=tmp_path) == ()


def python_says(version: str, **changed: str) -> str:
    said = {"name": "cpython", "base": "True", "free": "False", "include": "/nowhere"} | changed
    lines = "\\n".join((version, said["name"], said["base"], said["free"], said["include"]))
    return f"printf '{lines}\\n'"


def test_pythons_newest_first_and_only_those_vllm_can_use(
    tmp_path: Path, write: Write, answers: Answers
) -> None:
    headers = tmp_path / "include"
    headers.mkdir()
    (headers / "Python.h").touch()
    write("bin/python3.9", python_says("3.9.18"))
    write("bin/python3.12", python_says("3.12.3", include=str(headers)))
    (tmp_path / "bin/python3").symlink_to("python3.12")
    write("bin/python3.13", python_says("3.13.1", free="True"))
    write("bin/python", python_says("3.10.14", name="pypy"))
    write("bin/python3.8", "echo 'pyenv: python3.8: command not found' >&2; exit 127")
    write("pyenv/shims/python3.11", "exit 3")
    write("pyenv/versions/3.11.9/bin/python3", python_says("3.11.9"))
    environ = {"PYENV_ROOT": str(tmp_path / "pyenv"), "HOME": str(tmp_path)}
    programs = read_programs((tmp_path / "pyenv/shims", tmp_path / "bin"))
    found = python.read_pythons(programs, answers, environ)
    ours = [each for each in found if each.path.startswith(str(tmp_path))]
    assert [(each.version, each.headers) for each in ours] == [
        ("3.12.3", True),
        ("3.11.9", False),
        ("3.9.18", False),
    ]
    running = Path(sys.executable).resolve()
    assert [each.path for each in found if each not in ours] == [str(running)]


def test_a_tool_beside_our_interpreter_comes_before_path(
    tmp_path: Path, write: Write, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("ours/ninja", "echo 1.13.2.git")
    write("bin/ninja", "echo 1.8.2")
    write("bin/git", "echo 'git version 2.39.5'")
    write("first/cmake", "exit 1")
    write("bin/cmake", "echo 'cmake version 3.31.6'")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "ours/python"))
    found = tools.read_tools(read_programs((tmp_path / "first", tmp_path / "bin")), answers)
    assert (found.ninja, found.git, found.cmake, found.ccache) == (
        "1.13.2.git",
        "2.39.5",
        "3.31.6",
        None,
    )


def test_relative_path_entries_are_not_searched() -> None:
    assert parse_path(":.:bin:/usr/bin:/usr/bin") == (Path("/usr/bin"),)
