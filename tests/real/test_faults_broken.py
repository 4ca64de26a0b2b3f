"""What was made is damaged, changed or taken away: the next build mends exactly that."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.tiny import Tiny

pytestmark = [pytest.mark.network, pytest.mark.compile, pytest.mark.slow]

StepsOf = Callable[[str], dict[str, str]]
Redone = Callable[..., set[str]]

GARBAGE = {
    "empty": b"",
    "nul": b"\0" * 200,
    "half": b'{"step": "compile", "finger',
    "another document": b"[1, 2]",
    "no text": b"\xff\xfe\x00",
}


@pytest.fixture
def redone(tiny: "Tiny", steps_of: StepsOf) -> Redone:
    """Build again; the steps that had to be done. The build must come out whole."""

    def build(*words: str) -> set[str]:
        done = tiny.build(*words)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert tiny.add(20, 22).stdout == "42\n"
        return {name for name, state in steps_of(done.stderr).items() if state == "done"}

    return build


MADE_ANEW = {"environment", "requirements", "register"}
"""With an environment; torch is the same in the next one, and nothing is compiled again."""


def receipts(tiny: "Tiny") -> Path:
    return next((tiny.forge.home / "receipts").iterdir())


def build_folder(tiny: "Tiny") -> Path:
    return next((tiny.forge.home / "builds").iterdir())


def test_nothing_is_redone_when_nothing_happened(tiny: "Tiny", redone: Redone) -> None:
    assert redone() == set()
    assert tiny.build().stderr.startswith("nothing to do: ")


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("step", ["source", "compile"])
def test_a_damaged_receipt_is_none(tiny: "Tiny", redone: Redone, step: str, garbage: bytes) -> None:
    (receipts(tiny) / f"{step}.json").write_bytes(garbage)
    assert redone() == {step}


def test_all_receipts_damaged(tiny: "Tiny", redone: Redone) -> None:
    files = list(receipts(tiny).iterdir())  # what steps were made from lies beside their receipts
    names = {path.stem for path in files if '"fingerprint"' in path.read_text()}
    assert {"environment", "compile"} < names
    for path in files:
        path.write_bytes(GARBAGE["nul"])
    assert redone() == names


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_damaged_memories_do_no_harm(tiny: "Tiny", redone: Redone, garbage: bytes) -> None:
    home = tiny.forge.home
    memories = [home / name for name in ("probe-cache.json", "reach.json", "compile-costs.json")]
    for path in (*memories, *(home / "standing").iterdir(), home / "last-environment"):
        path.write_bytes(garbage)
    told = tiny.forge("verify", "--no-generate")
    assert told.returncode != 0
    assert "Traceback" not in told.stderr
    assert redone() == set()
    assert tiny.forge("verify", "--no-generate").returncode == 0


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_a_damaged_build_folder_is_made_again(tiny: "Tiny", redone: Redone, garbage: bytes) -> None:
    (receipts(tiny) / "compile.json").unlink()
    (receipts(tiny) / "configure.json").unlink()
    for name in (".ninja_log", ".ninja_deps", "forge-configure.json"):
        (build_folder(tiny) / name).write_bytes(garbage)
    assert redone("--store", "none") == {"configure", "compile"}


def test_a_lost_build_folder(tiny: "Tiny", redone: Redone) -> None:
    lost = build_folder(tiny)
    shutil.rmtree(lost)
    assert "configure" in redone()
    assert not lost.exists(), "the store has it: neither CMake nor ninja is needed"
    source = tiny.tree / "csrc" / "cpu" / "numa.cpp"
    source.write_text(f"{source.read_text()}// after the loss\n")
    assert redone() == {"compile"}


@pytest.mark.parametrize("damage", ["gone", "cut", "other bytes"])
def test_a_damaged_extension_is_put_back(tiny: "Tiny", redone: Redone, damage: str) -> None:
    extension = tiny.extension
    data = extension.read_bytes()
    extension.unlink()
    if damage == "cut":
        extension.write_bytes(data[:1000])
    elif damage == "other bytes":
        extension.write_bytes(bytes(len(data)))
    assert redone() == {"compile"}


def test_python_deleted(tiny: "Tiny", redone: Redone) -> None:
    tiny.python.unlink()
    told = tiny.forge("verify", "--no-generate")
    assert told.returncode == 1
    assert told.stderr.startswith(f"error: {tiny.python} does not run")
    assert redone() == MADE_ANEW


def test_half_of_site_packages_deleted(tiny: "Tiny", redone: Redone) -> None:
    for folder in sorted(tiny.site_packages.iterdir())[::2]:
        shutil.rmtree(folder) if folder.is_dir() else folder.unlink()
    assert "environment" in redone()


def test_a_requirement_deleted(tiny: "Tiny", redone: Redone) -> None:
    shutil.rmtree(tiny.site_packages / "packaging")
    assert redone() == {"requirements"}
    assert (tiny.site_packages / "packaging" / "version.py").exists()


def test_the_environment_deleted(tiny: "Tiny", redone: Redone) -> None:
    shutil.rmtree(tiny.environment)
    assert redone() == MADE_ANEW


def test_the_registration_deleted(tiny: "Tiny", redone: Redone) -> None:
    next(tiny.site_packages.glob("*vllm.pth")).unlink()
    assert redone() == {"register"}


def test_what_the_user_installed_stays(tiny: "Tiny", redone: Redone) -> None:
    (tiny.site_packages / "theirs.py").write_text("word = 'kept'\n")
    shutil.rmtree(tiny.site_packages / "packaging")
    assert redone() == {"requirements"}
    assert (tiny.site_packages / "theirs.py").exists()


def test_a_changed_source_is_compiled_alone(tiny: "Tiny", redone: Redone) -> None:
    objects = {path.name: path for path in build_folder(tiny).rglob("*.o")}
    before = {name: path.stat().st_mtime_ns for name, path in objects.items()}
    source = tiny.tree / "csrc" / "cpu" / "numa.cpp"
    source.write_text(source.read_text().replace("? 1 :", "? 1234 :"))
    inode = tiny.extension.stat().st_ino
    assert redone() == {"compile"}
    changed = {name for name, path in objects.items() if path.stat().st_mtime_ns != before[name]}
    assert changed == {"numa.cpp.o"}
    assert tiny.extension.stat().st_ino != inode, "a running process must keep the old one"


def test_a_changed_header_recompiles_whoever_includes_it(tiny: "Tiny", redone: Redone) -> None:
    header = tiny.tree / "csrc" / "cpu" / "ops.hpp"
    header.write_text(f"{header.read_text()}// changed\n")
    assert redone() == {"compile"}


def test_a_touched_source_is_no_changed_source(tiny: "Tiny", redone: Redone) -> None:
    before = tiny.extension.stat().st_mtime_ns
    for words in ((), ("--jobs", "2")):  # a command line known from before, and a new one
        os.utime(tiny.tree / "csrc" / "cpu" / "add.cpp")
        done = tiny.build("--json", *words)
        assert json.loads(done.stdout)["status"] == "unchanged", done.stderr
    assert redone() == set()
    assert tiny.extension.stat().st_mtime_ns == before


def test_a_source_that_does_not_compile_shows_its_error(tiny: "Tiny", redone: Redone) -> None:
    source = tiny.tree / "csrc" / "cpu" / "numa.cpp"
    whole = source.read_text()
    before = tiny.extension.read_bytes()
    source.write_text(f"{whole}int oops = missing_name;\n")
    failed = tiny.build()
    assert failed.returncode == 1
    assert "numa.cpp" in failed.stderr
    assert "missing_name" in failed.stderr
    assert tiny.extension.read_bytes() == before, "the last good one stays"
    source.write_text(whole)
    assert redone() == {"compile"}


def test_torch_is_not_swapped_by_a_later_install(tiny: "Tiny") -> None:
    pip = [str(tiny.python), "-m", "pip", "install", "--dry-run"]
    swapped = subprocess.run([*pip, "torch==2.7.1"], capture_output=True, check=False, text=True)
    assert swapped.returncode != 0
    assert "constraint" in swapped.stdout + swapped.stderr
    wants = subprocess.run([*pip, "torch>=2"], capture_output=True, check=False, text=True)
    assert wants.returncode == 0, wants.stderr
    assert "Requirement already satisfied: torch>=2" in wants.stdout


def test_the_tree_is_left_as_it_was_but_for_what_is_built(tiny: "Tiny") -> None:
    theirs = Path(__file__).parents[1] / "trees" / "tiny"
    before = {path.relative_to(theirs) for path in theirs.rglob("*") if path.is_file()}
    now = {path.relative_to(tiny.tree) for path in tiny.tree.rglob("*") if path.is_file()}
    made = {str(path) for path in now - before if "__pycache__" not in path.parts}
    assert made == {f"vllm/{tiny.extension.name}", "vllm/_version.py", "CMakeUserPresets.json"}
    assert before <= now


def test_another_command_line_redoes_nothing(tiny: "Tiny", steps_of: StepsOf) -> None:
    done = tiny.build("--jobs", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert set(steps_of(done.stderr).values()) == {"unchanged"}
    assert json.loads(done.stdout)["status"] == "unchanged"
