"""The incremental loop over a tree of the user's, and plain CMake beside it."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.tiny import TREE
from vllm_forge.records.problem import ExitCode
from vllm_forge.run.tools import tool

if TYPE_CHECKING:
    from tests.support.program import Running
    from tests.support.tiny import Tiny

pytestmark = [pytest.mark.network, pytest.mark.compile, pytest.mark.slow]

SUM = "return at::Scalar(sum).toLong();"
ENDLESS = """
constexpr long spin(long n) { long s = 0; for (long i = 0; i < n; i++) s += i % 7; return s; }
constexpr long spun[] = {SPINS};
"""


@pytest.fixture
def mended(tiny: "Tiny") -> Iterator["Tiny"]:
    """The tiny build, whole again for the next."""
    yield tiny
    shutil.copytree(TREE, tiny.tree, dirs_exist_ok=True)
    assert tiny.build("--quiet").returncode == 0


@pytest.fixture
def dev(mended: "Tiny") -> Iterator["Running"]:
    running = mended.forge.start("dev", "--vllm", mended.tree)
    running.wait_for("watching ")
    yield running
    if running.process.poll() is None:
        assert running.end(signal.SIGINT) == ExitCode.DONE
    mended.forge.expect_nobody()


def said(dev: "Running", beginning: str, times: int = 1) -> str:
    """The line that begins so for the `times`-th time."""

    def found() -> list[str]:
        return [line for line in dev.lines if line.startswith(beginning)]

    dev.wait_until(lambda: len(found()) >= times)
    return found()[times - 1]


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def objects(tiny: "Tiny") -> dict[str, int]:
    found = (tiny.forge.home / "builds").rglob("*.o")
    return {path.name: path.stat().st_mtime_ns for path in found}


def test_each_edit_gets_what_it_asks_for(mended: "Tiny", dev: "Running") -> None:
    add = mended.tree / "csrc" / "cpu" / "add.cpp"
    before, old = objects(mended), mended.extension.stat().st_ino
    change(add, SUM, "return at::Scalar(sum).toLong() + 100;")
    line = said(dev, "csrc/cpu/add.cpp: importable")
    took = re.search(r"importable ([\d.]+) s after the save \(file ([\d.]+) s, link ([\d.]+)", line)
    assert took is not None, line
    assert float(took[1]) >= float(took[2]) + float(took[3]) - 0.2
    changed = {name for name, at in objects(mended).items() if at != before[name]}
    assert changed == {"add.cpp.o"}
    assert mended.extension.stat().st_ino != old, "a running process keeps the old one"
    assert mended.add(1, 2).stdout.strip() == "103"

    (mended.tree / "vllm" / "__init__.py").touch()
    assert said(dev, "vllm/__init__.py") == ("vllm/__init__.py: Python only, importable as it is")

    change(add, "+ 100;", "+ nothing_of_this_name;")
    said(dev, "error: the compile failed")
    said(dev, "  cause: FAILED: ")
    assert any("nothing_of_this_name" in line for line in dev.lines)
    said(dev, "watching goes on")
    change(add, "+ nothing_of_this_name;", "+ 200;")
    said(dev, "csrc/cpu/add.cpp: importable", times=2)
    assert mended.add(1, 2).stdout.strip() == "203"

    done = json.loads(mended.build("--json").stdout)
    assert done["status"] == "unchanged", "build stands on the same receipts"


def test_a_revert_comes_out_of_the_store(mended: "Tiny", dev: "Running") -> None:
    add = mended.tree / "csrc" / "cpu" / "add.cpp"
    change(add, SUM, "return at::Scalar(sum).toLong() + 300;")
    said(dev, "csrc/cpu/add.cpp: importable")
    made = objects(mended)
    change(add, " + 300;", ";")
    assert "from the store" in said(dev, "csrc/cpu/add.cpp: importable", times=2)
    assert objects(mended) == made, "nothing is compiled"
    assert mended.add(1, 2).stdout.strip() == "3"


def test_a_cmake_edit_configures_as_planned(mended: "Tiny", dev: "Running") -> None:
    ninja = next((mended.forge.home / "builds").glob("*/build.ninja"))
    assert "avx512f" not in ninja.read_text()
    change(
        mended.tree / "cmake" / "cpu_extension.cmake",
        "cxx_std_17)",
        "cxx_std_17)\ntarget_compile_definitions(_C PRIVATE EDITED)",
    )
    said(dev, "cmake/cpu_extension.cmake: importable")
    assert any(line.startswith("[configure]") for line in dev.lines)
    assert "-DEDITED" in ninja.read_text()
    assert "avx512f" not in ninja.read_text(), "the variables of the plan hold"


def test_an_interrupt_ends_a_compile_and_the_loop(mended: "Tiny", dev: "Running") -> None:
    spins = ", ".join(f"spin(6000000 + {number})" for number in range(400))
    add = mended.tree / "csrc" / "cpu" / "add.cpp"
    add.write_text(add.read_text() + ENDLESS.replace("SPINS", spins))
    dev.wait_until(lambda: any("cc1plus" in line for line in mended.forge.survivors()))
    assert dev.end(signal.SIGINT) == ExitCode.INTERRUPTED
    mended.forge.expect_nobody(seconds=2.0)


def test_one_json_document_for_each_save(mended: "Tiny") -> None:
    process = subprocess.Popen(
        [*mended.forge._command(("dev", "--vllm", mended.tree, "--json"))],
        env=mended.forge._variables,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("watching "):
                break
        change(mended.tree / "csrc" / "cpu" / "ops.hpp", "#pragma once", "#pragma once\n// a word")
        built = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert built["status"] == "built"
    assert built["files"] == ["csrc/cpu/ops.hpp"]
    assert built["seconds"] > 0
    names = {name.rpartition("/")[2] for name in built["compiled"]}
    assert names == {"add.cpp", "numa.cpp", "bindings.cpp", "link"}


def test_what_was_saved_before_the_watch_began_is_caught_up_with(mended: "Tiny") -> None:
    change(mended.tree / "csrc" / "cpu" / "add.cpp", SUM, "return at::Scalar(sum).toLong() + 7;")
    dev = mended.forge.start("dev", "--vllm", mended.tree)
    dev.wait_for("watching ")
    assert mended.add(1, 2).stdout.strip() == "10"
    assert dev.end(signal.SIGINT) == ExitCode.DONE


@pytest.mark.parametrize("words", [("--vllm", "0.10.1"), ("--vllm", "/nowhere"), ()])
def test_only_a_tree_of_the_users_is_watched(
    tmp_path: Path, mended: "Tiny", words: tuple[str, ...]
) -> None:
    done = mended.forge("dev", *words, cwd=tmp_path)
    assert done.returncode == ExitCode.USAGE
    assert "dev watches a tree of yours" in done.stderr


def plain_cmake(tiny: "Tiny", *words: str) -> subprocess.CompletedProcess[str]:
    """CMake as the user calls it, in the tree, with no broker about."""
    environ = {name: value for name, value in os.environ.items() if "VLLM" not in name}
    return subprocess.run(
        [tool("cmake"), *words],
        capture_output=True,
        check=True,
        cwd=tiny.tree,
        env={**environ, "MAX_JOBS": "7"},
        text=True,
        timeout=300,
    )


def test_plain_cmake_does_the_same_by_the_presets(
    mended: "Tiny", steps_of: Callable[[str], dict[str, str]]
) -> None:
    assert mended.build().returncode == 0
    there = json.loads((mended.tree / "CMakeUserPresets.json").read_text())
    assert "vllm-forge" in there["vendor"]
    assert '"forge"' in plain_cmake(mended, "--list-presets").stdout
    build = next((mended.forge.home / "builds").glob("*/build.ninja")).parent
    plain_cmake(mended, "--preset", "forge")
    plain_cmake(mended, "--build", "--preset", "forge")
    add, before = mended.tree / "csrc" / "cpu" / "add.cpp", objects(mended)

    change(add, SUM, "return at::Scalar(sum).toLong() + 50;")
    assert steps_of(mended.build().stderr)["compile"] == "done"
    after = objects(mended)
    changed = {name for name, at in after.items() if at != before[name]}
    assert changed == {"add.cpp.o"}, "every command is the same: build takes CMake's objects"
    assert mended.add(1, 2).stdout.strip() == "53"

    change(add, "+ 50;", "+ 60;")
    plain_cmake(mended, "--build", "--preset", "forge")
    changed = {name for name, at in objects(mended).items() if at != after[name]}
    assert changed == {"add.cpp.o"}, "and CMake takes build's"
    plain_cmake(mended, "--install", str(build), "--component", "_C")
    assert mended.add(1, 2).stdout.strip() == "63"
