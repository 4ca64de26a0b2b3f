"""A store that fails, lies or is shared never stops a build, and says so once."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vllm_forge.run.store.folder import FolderLayer
from vllm_forge.run.store.upkeep import Limits, prune, read_state, verify

if TYPE_CHECKING:
    from tests.support.workshop import Workshop

pytestmark = pytest.mark.compile

ROOM = "16k"
"""Less than one extension of the workshop's takes."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with next to no room."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", folder],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_is_said_once(workshop: "Workshop", small_disk: Path) -> None:
    full = FolderLayer(small_disk / "store")
    first = workshop.checkout("first", full)
    first.build()
    assert (first.value(), first.value("_moe_C")) == (1321, 302)
    assert len(first.notes) == 1
    assert "No space left on device" in first.notes[0]
    assert str(full.folder) in first.notes[0]
    assert read_state(full).entries == 0
    again = workshop.checkout("again", full)
    assert "not needed" not in again.configure().summary


def test_a_read_only_disk_is_read_and_said_once(workshop: "Workshop", small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    workshop.checkout("first", FolderLayer(small_disk / "store")).build()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    second = workshop.checkout("second", FolderLayer(small_disk / "store"))
    assert "not needed" in second.configure().summary
    second.compile()
    assert (second.value(), second.notes) == (1321, [])
    second.edit("csrc/_C.cpp", "1 + PART", "7 + PART")
    second.compile()
    assert second.value() == 1327
    assert len(second.notes) == 1
    assert "Read-only file system" in second.notes[0]


def test_a_store_on_another_disk_is_copied_from(workshop: "Workshop", small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    layer = FolderLayer(small_disk / "store")
    workshop.checkout("first", layer).build()
    second = workshop.checkout("second", layer)
    second.build()
    assert second.value() == 1321
    installed = second.tree / "vllm" / "_C.abi3.so"
    assert installed.stat().st_mode & 0o777 == 0o555
    assert installed.stat().st_dev != layer.folder.stat().st_dev


def test_two_builds_at_once_share_one_store(workshop: "Workshop") -> None:
    checkouts = [workshop.checkout(f"tree{number}", home=f"home{number}") for number in range(2)]
    shared = FolderLayer(workshop.folder / "shared")
    for one in checkouts:
        one.store = type(one.store)([shared], one.notes.append)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda one: one.build(), checkouts))
    assert [(one.value(), one.notes) for one in checkouts] == [(1321, [])] * 2
    assert workshop.checkout("third", shared).known() == {"_C", "_moe_C"}
    assert verify(shared).corrupt == ()
    assert not [*shared.folder.rglob("tmp/*")]


KILLED = """
import os, signal, sys
from pathlib import Path
from vllm_forge.run.store import folder
from vllm_forge.run.store.folder import FolderLayer
layer = FolderLayer(Path(sys.argv[1]))
def die(source, into):
    into.write_bytes(source.read_bytes()[:1000])
    os.kill(os.getpid(), signal.SIGKILL)
folder.link = die
with layer.writing():
    layer.send("blobs/aa/aabb", Path(sys.argv[2]))
"""


def test_killed_while_it_writes(workshop: "Workshop", tmp_path: Path) -> None:
    """The half is nobody's entry, the lock is free, and the next writer cleans up."""
    layer = FolderLayer(tmp_path / "shared")
    file = tmp_path / "file"
    file.write_bytes(b"x" * 5000)
    ended = subprocess.run([sys.executable, "-c", KILLED, layer.folder, file], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert [path.stat().st_size for path in layer.folder.glob("tmp/*")] == [1000]
    assert layer.read("blobs/aa/aabb") is None
    workshop.checkout("first", layer).build()
    assert not [*layer.folder.glob("tmp/*")]
    assert read_state(layer).extensions == 2


def test_a_clock_that_jumps(workshop: "Workshop", tmp_path: Path) -> None:
    """A use in the future (the clock was set back) is a use now: neither dropped nor immortal."""
    layer = FolderLayer(tmp_path / "shared")
    workshop.checkout("first", layer).build()
    now = time.time()
    year = 365 * 86400.0
    for path in (layer.folder / "entries").rglob("*/*"):
        os.utime(path, (now + year, now + year))
    assert workshop.checkout("second", layer).known() == {"_C", "_moe_C"}
    month = Limits(oldest_seconds=30 * 86400.0)
    assert prune(layer, month, now).dropped == 0
    assert prune(layer, Limits(most_bytes=0), now).entries == 0
    assert workshop.checkout("third", layer).known() == set()


def test_damage_of_every_kind_is_a_miss(workshop: "Workshop", tmp_path: Path) -> None:
    layer = FolderLayer(tmp_path / "shared")
    workshop.checkout("first", layer).build()
    sound = tmp_path / "sound"
    shutil.copytree(layer.folder, sound)
    for kind in ("entries", "blobs", "reads", "lists"):
        shutil.rmtree(layer.folder)
        shutil.copytree(sound, layer.folder)
        for path in (layer.folder / kind).rglob("*/*"):
            path.chmod(0o644)
            path.write_bytes(b"\xff damaged \x00")
        checkout = workshop.checkout(f"after-{kind}", layer)
        checkout.build()
        assert checkout.value() == 1321, kind
        assert workshop.checkout(f"then-{kind}", layer).known() == {"_C", "_moe_C"}


def test_verify_drops_what_is_damaged(workshop: "Workshop", tmp_path: Path) -> None:
    layer = FolderLayer(tmp_path / "shared")
    workshop.checkout("first", layer).build()
    blob = max((layer.folder / "blobs").rglob("*/*"), key=lambda path: path.stat().st_size)
    blob.chmod(0o644)
    blob.write_bytes(b"other")
    state = verify(layer)
    assert len(state.corrupt) == 1
    assert (state.extensions, state.dropped) == (1, 2)
    assert verify(layer).corrupt == ()
    assert len(workshop.checkout("second", layer).known()) == 1


def test_what_a_size_leaves_is_what_was_used_last(workshop: "Workshop", tmp_path: Path) -> None:
    layer = FolderLayer(tmp_path / "shared")
    first = workshop.checkout("first", layer)
    first.build()
    first.edit("csrc/_C.cpp", "1 + PART", "8 + PART")
    first.compile()
    first.edit("csrc/_C.cpp", "8 + PART", "1 + PART")
    first.compile()  # restored: used last
    one = max(path.stat().st_size for path in (layer.folder / "blobs").rglob("*/*"))
    planned = prune(layer, Limits(most_bytes=2 * one), time.time(), dry_run=True)
    state = prune(layer, Limits(most_bytes=2 * one), time.time())
    assert (planned.dropped, planned.freed_bytes > 0) == (state.dropped, True)
    assert state.extensions == 2
    assert workshop.checkout("second", layer).known() == {"_C", "_moe_C"}
    first.edit("csrc/_C.cpp", "1 + PART", "8 + PART")
    assert first.known() == {"_moe_C"}


def test_the_verb_answers(workshop: "Workshop", tmp_path: Path) -> None:
    layer = FolderLayer(tmp_path / "home" / "store")
    workshop.checkout("first", layer).build()
    workshop.checkout("second", layer).build()
    program = Path(sys.executable).with_name("vllm-forge")

    def cache(*words: str) -> tuple[int, dict[str, object]]:
        command = [str(program), "cache", *words, "--json", "--home", str(tmp_path / "home")]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        document: dict[str, object] = json.loads(done.stdout)["cache"]
        return done.returncode, document

    code, stats = cache("stats")
    assert (code, stats["extensions"], stats["entries"]) == (0, 2, 4)
    counters = stats["counters"]
    assert isinstance(counters, dict)
    assert (counters["hits"], counters["stored"]) == (2, 4)
    assert cache("verify")[0] == 0
    code, pruned = cache("prune", "--older-than", "0s")
    assert (code, pruned["entries"], pruned["dropped"]) == (0, 0, 4)
    assert not [path for path in layer.folder.rglob("*/*/*") if path.is_file()]


def test_the_verb_says_where_it_cannot_write(small_disk: Path) -> None:
    (small_disk / "store").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    program = Path(sys.executable).with_name("vllm-forge")
    command = [str(program), "cache", "verify", "--store", str(small_disk / "store")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 4
    assert done.stderr.startswith(f"error: {small_disk}/store cannot be written: Read-only")
