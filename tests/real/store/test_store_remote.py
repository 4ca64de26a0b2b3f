"""A store behind a URL, spoken to over a real socket: shared, read only, slow, or gone."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import pytest

from vllm_forge.run.store.folder import FolderLayer
from vllm_forge.run.store.opening import open_layer

if TYPE_CHECKING:
    from tests.support.webdav import WebDav
    from tests.support.workshop import Checkout, Workshop

pytestmark = pytest.mark.compile
pytest.importorskip("opendal")


def at(workshop: "Workshop", name: str, url: str) -> "Checkout":
    """A checkout on a machine of its own: its own home's store, then the URL."""
    own = FolderLayer(workshop.folder / f"home-{name}" / "store")
    return workshop.checkout(name, own, open_layer(url), home=f"home-{name}")


def test_one_machine_compiles_and_others_take(
    workshop: "Workshop", make_webdav: "Callable[[], WebDav]"
) -> None:
    webdav = make_webdav()
    at(workshop, "first", webdav.url).build()
    second = at(workshop, "second", f"{webdav.url}?mode=ro")
    configured, _ = second.build()
    assert "not needed" in configured.summary
    assert (second.value(), second.notes) == (1321, [])
    webdav.stop()
    third = workshop.checkout("third", FolderLayer(workshop.folder / "home-second" / "store"))
    assert third.known() == {"_C", "_moe_C"}


def test_a_read_only_one_is_not_written(
    workshop: "Workshop", make_webdav: "Callable[[], WebDav]"
) -> None:
    webdav = make_webdav()
    only = at(workshop, "only", f"{webdav.url}?mode=ro")
    only.build()
    assert only.notes == []
    assert {line.split()[0] for line in webdav.asked} == {"GET"}


def test_damage_on_the_way_is_noticed(
    workshop: "Workshop", make_webdav: "Callable[[], WebDav]"
) -> None:
    webdav = make_webdav()
    at(workshop, "first", webdav.url).build()
    for path in (webdav.folder / "cache" / "blobs").rglob("*/*"):
        path.write_bytes(b"not what it was")
    second = at(workshop, "second", webdav.url)
    second.build()
    assert second.value() == 1321
    assert [note for note in second.notes if "damaged" in note]
    assert at(workshop, "third", webdav.url).known() == {"_C", "_moe_C"}


def test_a_slow_one_is_left_out_once(
    workshop: "Workshop", make_webdav: "Callable[[], WebDav]"
) -> None:
    webdav = make_webdav()
    webdav.delay = 30.0
    slow = at(workshop, "slow", webdav.url)
    began = time.monotonic()
    assert slow.known() == set()
    assert time.monotonic() - began < 25
    slow.build()
    assert slow.value() == 1321
    assert len(slow.notes) == 1
    assert webdav.url in slow.notes[0]
    assert "left out" in slow.notes[0]


def test_one_that_goes_mid_build_is_said_once(
    workshop: "Workshop", make_webdav: "Callable[[], WebDav]"
) -> None:
    webdav = make_webdav()
    mine = at(workshop, "mine", webdav.url)
    mine.configure()
    webdav.stop()
    mine.compile()
    assert mine.value() == 1321
    assert len(mine.notes) == 1
    assert mine.known() == {"_C", "_moe_C"}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """A real server on a port of its own."""
    program = which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    port = 16399
    command = [program, "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    yield f"redis://127.0.0.1:{port}"
    server.terminate()
    server.wait(10)


def test_redis(workshop: "Workshop", redis: str) -> None:
    at(workshop, "first", redis).build()
    second = at(workshop, "second", redis)
    second.build()
    assert (second.value(), second.notes) == (1321, [])
    assert not second.build_folder.exists()
