"""The whole program and an index of our own: what a user sees when fetching goes wrong.

tests/unit/run/test_fetching_sdists.py has every case; here are those that a process adds to.
"""

import io
import json
import signal
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import vllm_forge
from vllm_forge.records.problem import ExitCode

if TYPE_CHECKING:
    from tests.support.index import Index
    from tests.support.program import Forge

VERSION = "0.0.1"
NAME = f"vllm-{VERSION}.tar.gz"
MACHINE = Path(vllm_forge.__file__).parent / "data" / "machines" / "no-gpu.json"
PLAN = ("plan", "--vllm", VERSION, "--device", "cpu", "--machine", MACHINE)
ROUTES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL", "PIP_CONFIG_FILE", "UV_CONFIG_FILE")


@pytest.fixture
def there(forge: "Forge", index: "Index") -> "Forge":
    """The program with nothing but that index."""
    return forge.without(*ROUTES).under(UV_DEFAULT_INDEX=index.url(), NO_PROXY="127.0.0.1")


def plan(forge: "Forge") -> tuple[int, dict[str, Any], str]:
    """Exit code, the document, and stderr."""
    done = forge(*PLAN, "--json")
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def kept(forge: "Forge", room: str) -> list[str]:
    """Names in a room of the home, locks left out."""
    names = [path.name for path in forge.home.glob(f"{room}/*")]
    return sorted(name for name in names if not name.endswith(".lock"))


@pytest.mark.parametrize("route", ROUTES)
def test_wherever_the_index_is_configured(
    forge: "Forge", index: "Index", route: str, tmp_path: Path
) -> None:
    said = index.url()
    if route.endswith("_FILE"):
        file = tmp_path / "settings"
        line = f'index-url = "{said}"' if route.startswith("UV") else f"index-url = {said}"
        file.write_text(line if route.startswith("UV") else f"[global]\n{line}\n")
        said = str(file)
    there = forge.without(*ROUTES).under(**{route: said, "NO_PROXY": "127.0.0.1"})
    code, document, stderr = plan(there)
    assert code == 0, stderr
    assert document["choices"]["vllm"]["value"] == VERSION
    assert index.downloads == [None]


def test_a_download_cut_off_is_told_and_then_continued(there: "Forge", index: "Index") -> None:
    index.cuts = [1000]
    done = there(*PLAN)
    assert done.returncode == ExitCode.UNREACHABLE
    size = len(index.sdist)
    error, cause, hint = done.stderr.splitlines()
    assert error == f"error: {NAME} was cut off after 1000 of {size} bytes"
    assert cause.startswith("  cause: ")
    assert hint == "hint: run the same command again: it continues from there"
    assert done.stdout == ""
    assert plan(there)[0] == 0
    assert index.downloads == [None, "bytes=1000-"]
    assert kept(there, "downloads") == [NAME]


def test_a_wrong_hash_is_refused_with_both(there: "Forge", index: "Index") -> None:
    index.sha256 = "0" * 64
    code, document, _ = plan(there)
    assert code == document["exit_code"] == ExitCode.UNREACHABLE
    assert document["message"].endswith("has another sha256 than the index says")
    assert [cause.split()[0] for cause in document["causes"]] == ["expected", "received"]
    assert (kept(there, "downloads"), kept(there, "sources")) == ([], [])


def test_lasting_trouble_is_told(there: "Forge", index: "Index") -> None:
    index.failures = [503] * 10
    code, document, _ = plan(there)
    assert code == ExitCode.UNREACHABLE
    assert document["message"] == "127.0.0.1 cannot be reached"
    assert document["causes"] == ["too many 503 error responses"]


def test_an_unknown_version_names_the_nearest(there: "Forge", index: "Index") -> None:
    data = index.sdist
    index.files = {f"vllm-{version}.tar.gz": data for version in ("7.1.0", "7.1.1", "8.0.0")}
    done = there("plan", "--vllm", "7.1.11")
    assert done.returncode == ExitCode.USAGE
    assert done.stderr.splitlines() == [
        "error: vLLM 7.1.11 is not on the index; nearest: 7.1.1, 7.1.0",
        "hint: --vllm 7.1.1",
    ]
    assert done.stdout == ""


def test_a_proxy_is_asked_only_for_hosts_that_it_is_for(there: "Forge") -> None:
    deaf = there.under(http_proxy="http://127.0.0.1:9", HTTPS_PROXY="http://127.0.0.1:9")
    assert plan(deaf)[0] == 0
    code, document, _ = plan(deaf.without("NO_PROXY").under(no_proxy="localhost"))
    assert (code, document["message"]) == (4, "127.0.0.1 cannot be reached")


def test_an_archive_that_would_escape_is_refused(
    there: "Forge", index: "Index", tmp_path: Path
) -> None:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo(f"vllm-{VERSION}/../../evil"), io.BytesIO())
    index.files = {NAME: held.getvalue()}
    code, document, _ = plan(there)
    assert code == ExitCode.BAD_INPUT
    assert document["message"].startswith(f"{NAME} is refused: its member")
    assert kept(there, "sources") == []
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL], ids=lambda sign: sign.name)
def test_stopped_while_downloading(there: "Forge", index: "Index", sign: signal.Signals) -> None:
    index.gate.clear()
    running = there.start(*PLAN)
    running.wait_until(lambda: bool(index.downloads))
    assert running.end(sign) == (-sign if sign is signal.SIGKILL else ExitCode.INTERRUPTED)
    there.expect_nobody()
    index.gate.set()
    assert plan(there)[0] == 0
    assert kept(there, "downloads") == [NAME]


def test_two_at_once_fetch_it_once(there: "Forge", index: "Index") -> None:
    index.gate.clear()
    first = there.start(*PLAN)
    first.wait_until(lambda: bool(index.downloads))
    asked = len(index.asked)
    second = there.start(*PLAN)
    second.wait_until(lambda: len(index.asked) > asked)
    index.gate.set()
    assert (first.wait(), second.wait()) == (0, 0), first.said + second.said
    assert index.downloads == [None]
    assert kept(there, "sources") == [f"vllm-{VERSION}"]


@pytest.mark.network
@pytest.mark.compile
@pytest.mark.slow
def test_two_builds_at_once_in_an_empty_home(
    there: "Forge", default_index: str, steps_of: Callable[[str], dict[str, str]]
) -> None:
    both = there.under(UV_INDEX=default_index)
    builds = [both.start("build", "--vllm", VERSION, "--device", "cpu") for _ in range(2)]
    assert [build.wait() for build in builds] == [0, 0], "\n".join(one.said for one in builds)
    waits = [line for one in builds for line in one.lines if "waiting for it to end" in line]
    assert len(waits) == 1
    told = {" and ".join(sorted({*steps_of(one.said).values()})) for one in builds}
    assert told == {"done", "unchanged"}
