"""Where a command line ends: the exit code, one clear message, and stdout for data alone."""

import json
from pathlib import Path

import pytest

import vllm_forge
from vllm_forge.cli.app import run_command_line
from vllm_forge.records.problem import ExitCode

MACHINE = Path(vllm_forge.__file__).parent / "data" / "machines" / "no-gpu.json"
PLAN = ["plan", "--vllm", "0.10.1", "--device", "cpu", "--machine", str(MACHINE)]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VLLM_FORGE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nothing-of-ours"], ExitCode.USAGE, "nothing-of-ours"),
        (["plan", "--no-such-option"], ExitCode.USAGE, "--no-such-option"),
        (["plan", "--device", "toaster"], ExitCode.USAGE, "toaster"),
        (["plan", "--jobs", "many"], ExitCode.USAGE, "many"),
        ([*PLAN, "--memory", "banana"], ExitCode.USAGE, "'banana' is not a size"),
        (["plan", "--vllm", "./nowhere"], ExitCode.BAD_INPUT, "./nowhere is no folder"),
        (["plan", "--machine", "/nowhere"], ExitCode.BAD_INPUT, "/nowhere: No such file"),
        ([*PLAN, "--python", "3.13"], ExitCode.REFUSED, ""),
        (["verify"], ExitCode.USAGE, "nothing was built under"),
        (["verify", "--env", "/nowhere"], ExitCode.BAD_INPUT, "/nowhere is no environment"),
        (PLAN, ExitCode.DONE, ""),
    ],
)
def test_how_it_ends(
    words: list[str], code: ExitCode, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(words) == code
    told = capsys.readouterr()
    assert said in told.err
    assert "Traceback" not in told.err
    if code in {ExitCode.USAGE, ExitCode.BAD_INPUT}:
        assert told.out == ""


def test_an_error_is_a_document_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["plan", "--vllm", "./nowhere", "--json"]) == ExitCode.BAD_INPUT
    document = json.loads(capsys.readouterr().out)
    assert document["status"] == "error"
    assert document["message"] == "./nowhere is no folder"
    assert document["exit_code"] == ExitCode.BAD_INPUT


def test_a_refusal_is_a_document_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line([*PLAN, "--python", "3.13", "--json"]) == ExitCode.REFUSED
    document = json.loads(capsys.readouterr().out)
    assert document["status"] == "refused"
    assert [refusal["subject"] for refusal in document["refusals"]] == ["python"]
    assert document["steps"] == []


def test_a_plan_is_one_document(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    assert run_command_line([*PLAN, "--json"]) == ExitCode.DONE
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert document["status"] == "ok"
    wanted = {"vllm", "python", "torch", "torch_cuda", "toolkit", "device", "gpu_arch", "strategy"}
    assert wanted | {"jobs"} <= set(document["choices"])
    for choice in document["choices"].values():
        assert all(reason["fact"] and reason["source"] for reason in choice["because"])
    assert [step["name"] for step in document["steps"]][-1] == "register"
    assert not (home / "envs").exists()


@pytest.mark.parametrize("garbage", [b"", b"\0" * 64, b"[]", b'{"machine": 3}', b"\xff\xfe"])
def test_a_machine_file_that_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], garbage: bytes
) -> None:
    (tmp_path / "machine.json").write_bytes(garbage)
    words = ["plan", "--vllm", "0.10.1", "--machine", str(tmp_path / "machine.json")]
    assert run_command_line(words) == ExitCode.BAD_INPUT
    assert "machine.json" in capsys.readouterr().err


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["--help"]) == ExitCode.DONE
    told = capsys.readouterr().out
    for verb in ("doctor", "plan", "build", "verify", "up"):
        assert verb in told
