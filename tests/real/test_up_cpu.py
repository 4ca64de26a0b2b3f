"""The real thing: vLLM 0.10.1 from its sdist to generated text, on the CPU of this machine.

One build for every test of this file, in an empty home; only uv's own cache may be warm.
"""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vllm_forge.records.problem import ExitCode
from vllm_forge.run.uv import uv_program

if TYPE_CHECKING:
    from tests.support.real import RealBuild

pytestmark = [pytest.mark.network, pytest.mark.compile, pytest.mark.slow]

StepsOf = Callable[[str], dict[str, str]]

WISH = ("--vllm", "0.10.1", "--device", "cpu")
STEPS = ["source", "environment", "requirements", "configure", "compile", "register"]
STARTED = "subprocess.Popen"
"""The audit event of a started process."""


@pytest.fixture
def built(real_build: "RealBuild") -> "RealBuild":
    return real_build


def test_up_ends_with_text(built: "RealBuild", steps_of: StepsOf) -> None:
    assert built.document["status"] == "passed"
    checks = {check["name"]: check for check in built.document["checks"]}
    assert {check["status"] for check in checks.values()} <= {"passed", "skipped"}
    skipped = {name.partition(":")[0] for name in checks if checks[name]["status"] == "skipped"}
    assert skipped <= {"target"}
    assert checks["generate:tiny-llama"]["detail"].startswith("16 tokens from a tiny Llama")
    assert checks["target:_C"]["detail"] == str(built.extension)
    assert built.document["text"]
    steps = steps_of(built.stderr)
    assert set(steps.values()) == {"done"}
    assert [name for name in steps if name != "system-packages"] == STEPS


def test_every_step_left_a_receipt(built: "RealBuild") -> None:
    receipts = {receipt["step"]: receipt for receipt in built.document["receipt"]}
    assert [name for name in receipts if name != "system-packages"] == STEPS
    planned = {step["name"]: step["fingerprint"] for step in built.document["plan"]["steps"]}
    assert {name: one["fingerprint"] for name, one in receipts.items()} == planned
    compiled = receipts["compile"]
    assert [Path(one["path"]) for one in compiled["made"]] == [built.extension]
    assert compiled["cpu_seconds"] > compiled["seconds"] / 2
    assert compiled["peak_bytes"] > 1 << 30
    assert receipts["environment"]["facts"]["torch"] == "2.6.0"
    assert receipts["requirements"]["facts"].get("torch", "2.6.0") == "2.6.0"


def test_pip_shows_what_was_built(built: "RealBuild") -> None:
    said = built.python("-m", "pip", "show", "vllm").stdout
    fields = dict(line.split(": ", 1) for line in said.splitlines() if ": " in line)
    assert fields["Version"] == "0.10.1+cpu"
    assert Path(fields["Editable project location"]) == built.tree
    assert "torch" in fields["Requires"].split(", ")


def test_import_finds_the_tree(built: "RealBuild") -> None:
    said = built.python("-c", "import vllm; print(vllm.__version__, vllm.__file__)").stdout
    assert said.splitlines()[-1] == f"0.10.1+cpu {built.tree / 'vllm' / '__init__.py'}"


def test_the_environment_is_consistent_and_torch_is_the_planned_one(built: "RealBuild") -> None:
    checked = built.python("-m", "pip", "check")
    assert checked.returncode == 0, checked.stdout
    said = built.python("-c", "import torch; print(torch.__version__)").stdout
    assert said.strip().partition("+")[0] == "2.6.0"


def test_a_later_install_does_not_swap_torch(built: "RealBuild") -> None:
    swapped = built.python("-m", "pip", "install", "--dry-run", "torch==2.7.1")
    assert swapped.returncode != 0
    assert "constraint" in swapped.stdout + swapped.stderr
    wants = built.python("-m", "pip", "install", "--dry-run", "torch>=2.1")
    assert wants.returncode == 0, wants.stderr


@pytest.fixture
def watcher(tmp_path: Path) -> tuple[Path, Path]:
    """A folder for PYTHONPATH that writes down every process started and every module imported."""
    heard = tmp_path / "heard"
    (tmp_path / "sitecustomize.py").write_text(
        f"""import atexit, sys
file = open({str(heard)!r}, "a")
def hear(event, arguments):
    if event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "os.system"):
        file.write(event + "\\n")
sys.addaudithook(hear)
atexit.register(lambda: file.write("\\n".join(sys.modules) + "\\n"))
"""
    )
    return tmp_path, heard


def test_nothing_to_do_starts_nothing_and_imports_little(
    built: "RealBuild", watcher: tuple[Path, Path]
) -> None:
    folder, heard = watcher
    log, extension = built.ninja_log.stat(), built.extension.stat()
    first = built.forge("build", *WISH, "--json")
    assert json.loads(first.stdout)["status"] == "unchanged"
    places = [str(folder), os.environ.get("PYTHONPATH", "")]
    watched = built.forge.under(PYTHONPATH=os.pathsep.join(filter(None, places)))
    again = watched("build", *WISH, "--json")
    assert again.returncode == 0, again.stderr
    assert again.stdout == first.stdout
    said = heard.read_text().splitlines()
    assert "vllm_forge.run.standing" in said
    assert not {STARTED, "os.posix_spawn", "os.fork", "os.exec"} & set(said)
    assert not {"torch", "vllm", "cyclopts", "rich", "urllib3"} & set(said)
    heard.unlink()
    assert watched("doctor", "--offline", "--json").returncode == 0
    assert STARTED in heard.read_text().splitlines(), "the watcher hears nothing"
    assert built.ninja_log.stat().st_mtime_ns == log.st_mtime_ns
    assert built.extension.stat().st_mtime_ns == extension.st_mtime_ns


CHECK_RECORD = """
import base64, hashlib, json
from importlib.metadata import distribution
found = distribution("vllm")
wrong = [
    str(file)
    for file in found.files
    if file.hash is not None
    and base64.urlsafe_b64encode(
        hashlib.new(file.hash.mode, file.locate().read_bytes()).digest()
    ).rstrip(b"=").decode() != file.hash.value
]
print(json.dumps({
    "version": found.version,
    "summary": found.metadata["Summary"],
    "python": found.metadata["Requires-Python"],
    "requires": found.requires,
    "scripts": [entry.name for entry in found.entry_points if entry.group == "console_scripts"],
    "files": [str(file) for file in found.files],
    "unhashed": [str(file) for file in found.files if file.hash is None],
    "wrong": wrong,
}))
"""


def test_the_wheel_installs_elsewhere(built: "RealBuild", tmp_path: Path) -> None:
    done = built.forge("build", *WISH, "--wheel", tmp_path / "wheels", "--json")
    assert done.returncode == 0, done.stderr
    wheel = Path(json.loads(done.stdout)["wheel"])
    assert wheel.name == "vllm-0.10.1+cpu-cp38-abi3-linux_x86_64.whl"
    assert [path.name for path in wheel.parent.iterdir()] == [wheel.name]
    uv, fresh = uv_program(), tmp_path / "fresh"
    home = built.environment / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--python", home.resolve(), fresh], check=True)
    python = fresh / "bin" / "python"
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--no-deps", "--python", python, wheel], check=True
    )
    said = subprocess.run(
        [python, "-I", "-c", CHECK_RECORD], capture_output=True, check=True, text=True
    )
    facts = json.loads(said.stdout)
    assert facts["version"] == "0.10.1+cpu"
    assert facts["python"] == "<3.13,>=3.9"
    assert facts["scripts"] == ["vllm"]
    assert "torch==2.6.0" in facts["requires"]
    assert any(line.startswith("transformers") for line in facts["requires"])
    assert {"vllm/_C.abi3.so", "vllm/__init__.py", "vllm/py.typed"} <= set(facts["files"])
    assert not [name for name in facts["files"] if name.endswith((".cpp", ".half", ".cu"))]
    assert facts["wrong"] == []
    assert [Path(name).name for name in facts["unhashed"]] == ["RECORD"]
    installed = next(fresh.glob("lib/python3.*/site-packages/vllm/_C.abi3.so"))
    assert installed.read_bytes() == built.extension.read_bytes()


def test_one_changed_source_is_compiled_alone(built: "RealBuild", steps_of: StepsOf) -> None:
    objects = sorted(built.ninja_log.parent.rglob("*.o"))
    before = {path: path.stat().st_mtime_ns for path in objects}
    old = built.extension.stat().st_ino
    source = built.tree / "csrc" / "cpu" / "utils.cpp"
    source.write_text(f"{source.read_text()}// a comment\n")
    done = built.forge("build", *WISH)
    assert done.returncode == 0, done.stderr
    steps = steps_of(done.stderr)
    assert [name for name, state in steps.items() if state == "done"] == ["compile"]
    changed = [path.name for path in objects if path.stat().st_mtime_ns != before[path]]
    assert changed == ["utils.cpp.o"]
    assert built.extension.stat().st_ino != old


def test_a_touched_source_changes_nothing(built: "RealBuild") -> None:
    os.utime(built.tree / "csrc" / "cpu" / "cache.cpp")
    before = built.ninja_log.stat().st_mtime_ns
    done = built.forge("build", *WISH, "--json")
    assert json.loads(done.stdout)["status"] == "unchanged", done.stderr
    assert built.ninja_log.stat().st_mtime_ns == before


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL], ids=lambda sign: sign.name)
def test_stopped_while_the_engine_runs(
    built: "RealBuild", sign: signal.Signals, steps_of: StepsOf
) -> None:
    """A second `up` redoes nothing, and its engine dies with it."""
    up = built.forge.start("up", *WISH)
    up.wait_until(lambda: any("generate.py" in line for line in built.forge.survivors()))
    assert set(steps_of(up.said).values()) == {"unchanged"}
    assert up.end(sign) == (-sign if sign is signal.SIGKILL else ExitCode.INTERRUPTED)
    built.forge.expect_nobody()


def test_verify_answers_in_json(built: "RealBuild") -> None:
    done = built.forge("verify", "--no-generate", "--json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["status"]) == (0, "passed")
    assert Path(document["environment"]) == built.environment
