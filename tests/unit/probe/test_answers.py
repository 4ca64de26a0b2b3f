"""What programs said is kept as long as their files stay the same."""

import os
from pathlib import Path

import pytest

from vllm_forge.probe.answers import FILE_NAME, Answers, keep_answers, parse_answers, read_answers
from vllm_forge.run.process import run_command


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "tool"
    path.write_text('#!/bin/sh\necho asked >>"$0.log"\necho tool 1.2.3\n')
    path.chmod(0o755)
    return path


def times_asked(program: Path) -> int:
    log = program.with_name("tool.log")
    return len(log.read_text().splitlines()) if log.exists() else 0


def ask_once(program: Path, home: Path) -> str:
    answers = Answers(run_command, environ={}, kept=read_answers(home))
    said = answers.ask(program, "--version")
    keep_answers(home, answers.used)
    return said.stdout


def test_an_unchanged_program_is_asked_once(program: Path, tmp_path: Path) -> None:
    assert [ask_once(program, tmp_path) for _ in range(3)] == ["tool 1.2.3\n"] * 3
    assert times_asked(program) == 1


def test_a_replaced_program_is_asked_again(program: Path, tmp_path: Path) -> None:
    ask_once(program, tmp_path)
    program.write_text(program.read_text().replace("1.2.3", "1.2.4"))  # as long as before
    os.utime(program, ns=(1, 1))
    assert ask_once(program, tmp_path) == "tool 1.2.4\n"


def test_failure_is_not_remembered(program: Path) -> None:
    program.write_text(program.read_text() + "exit 3\n")
    answers = Answers(run_command, environ={}, kept={})
    assert answers.ask(program, "--version").code == 3
    assert answers.used == {}


def test_shims_are_always_asked(program: Path, tmp_path: Path) -> None:
    shim = tmp_path / "shims" / "tool"
    shim.parent.mkdir()
    program.rename(shim)
    for _ in range(2):
        ask_once(shim, tmp_path)
    assert times_asked(shim) == 2


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"x": 3}', b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_file_is_as_good_as_none(program: Path, tmp_path: Path, damage: bytes) -> None:
    assert parse_answers(damage) == {}
    (tmp_path / FILE_NAME).write_bytes(damage)
    assert ask_once(program, tmp_path) == "tool 1.2.3\n"
    assert len(read_answers(tmp_path)) == 1


def test_a_question_makes_no_home(program: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    ask_once(program, home)
    assert not home.exists()
