"""Redistributables from a server of our own that serves NVIDIA's layout."""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from platform import machine
from threading import Thread

import pytest

from vllm_forge.run.toolkits.redist import PLATFORMS

pytestmark = [pytest.mark.network, pytest.mark.compile, pytest.mark.slow]
CACHE = Path(os.environ.get("VLLM_FORGE_TEST_CACHE") or Path.home() / ".cache" / "vllm-forge-tests")
PLATFORM = PLATFORMS[machine()]
COMPONENTS = {
    "cuda_nvcc": ("bin", "nvvm"),
    "cuda_cccl": ("include/cccl",),
    "cuda_cudart": ("include", "lib64"),
}
"""Component → what of the prefix it holds; in this order, each file once."""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its parent's name
        """Say nothing."""


def forge(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vllm_forge", *words, "--home", str(home)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def pack(prefix: Path, folder: Path) -> None:
    """The prefix as redistrib_13.0.2.json and its archives; lib64 is lib there."""
    manifest: dict[str, object] = {"release_label": "13.0.2"}
    packed: set[Path] = set()
    for component, parts in COMPONENTS.items():
        top = f"{component}-{PLATFORM}-13.0.88-archive"
        path = folder / component / PLATFORM / f"{top}.tar.xz"
        path.parent.mkdir(parents=True)
        with tarfile.open(path, "w:xz", preset=0) as tar:
            for part in parts:
                for file in sorted((prefix / part).rglob("*")):
                    if file.is_dir() or file in packed:
                        continue
                    packed.add(file)
                    tar.add(file, f"{top}/{file.relative_to(prefix)}".replace("/lib64/", "/lib/"))
        manifest[component] = {
            "version": "13.0.88",
            PLATFORM: {
                "relative_path": str(path.relative_to(folder)),
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "size": str(path.stat().st_size),
            },
        }
    (folder / "redistrib_13.0.2.json").write_text(json.dumps(manifest))
    (folder / "redistrib_12.9.1.json").write_text("{}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """(URL, the folder it serves), packed from the index's toolkit."""
    said = forge(CACHE / "home", "toolkit", "add", "13.0", "--provider", "pypi", "--json")
    assert said.returncode == 0, said.stderr
    folder = tmp_path_factory.mktemp("redist")
    pack(Path(json.loads(said.stdout)["path"]), folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", folder
        http.shutdown()


def test_a_toolkit_is_made_listed_and_removed(server: tuple[str, Path], tmp_path: Path) -> None:
    url, _ = server

    dry = forge(tmp_path, "toolkit", "add", "13", "--provider", "redist", "--url", url, "-n")
    said = forge(tmp_path, "toolkit", "add", "13", "--provider", "redist", "--url", url, "--json")

    assert dry.returncode == 0
    assert "CUDA 13.0.88 from CUDA 13.0.2" in dry.stdout
    assert said.returncode == 0, said.stderr
    prefix = tmp_path / "toolkits" / "cuda-13.0.88-redist"
    assert json.loads(said.stdout)["path"] == str(prefix)
    assert "not proven" not in said.stderr
    assert not list((tmp_path / "downloads").iterdir())
    listed = json.loads(forge(tmp_path, "toolkit", "list", "--json").stdout)["toolkits"]
    (ours,) = [each for each in listed if each["path"] == str(prefix)]
    assert (ours["provider"], ours["missing"]) == ("redist", [])
    assert forge(tmp_path, "toolkit", "remove", "13.0.88").returncode == 0
    assert not prefix.exists()


def test_an_archive_with_another_digest_is_refused(
    server: tuple[str, Path], tmp_path: Path
) -> None:
    url, folder = server
    archive = next((folder / "cuda_cccl").rglob("*.tar.xz"))
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-1] + b"?")
    try:
        said = forge(tmp_path, "toolkit", "add", "13.0", "--provider", "redist", "--url", url)
    finally:
        archive.write_bytes(whole)

    assert said.returncode == 4
    assert "has another sha256" in said.stderr
    assert not (tmp_path / "toolkits").exists()


def test_a_version_it_has_not_names_those_it_has(server: tuple[str, Path], tmp_path: Path) -> None:
    said = forge(tmp_path, "toolkit", "add", "12.4", "--provider", "redist", "--url", server[0])

    assert said.returncode == 3
    assert "it has 12.9.1, 13.0.2" in said.stderr


def test_a_manifest_without_nvcc_is_bad_input(server: tuple[str, Path], tmp_path: Path) -> None:
    said = forge(tmp_path, "toolkit", "add", "12.9", "--provider", "redist", "--url", server[0])

    assert said.returncode == 5
    assert "redistrib_12.9.1.json" in said.stderr
