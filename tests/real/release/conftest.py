"""The real sdists and torch's real headers.

Downloads are kept in $VLLM_FORGE_TEST_CACHE, else ~/.cache/vllm-forge-tests.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vllm_forge.records.range_file import RangeFile
from vllm_forge.release import TorchNames, read_wheel_names
from vllm_forge.run.archive import unpack_sdist
from vllm_forge.run.index import IndexSettings, read_index_settings, read_project
from vllm_forge.run.network import Network
from vllm_forge.run.process import run_command

CACHE = Path(os.environ.get("VLLM_FORGE_TEST_CACHE") or Path.home() / ".cache" / "vllm-forge-tests")


@pytest.fixture(scope="session")
def settings() -> IndexSettings:
    return read_index_settings(os.environ, run_command)


@pytest.fixture(scope="session")
def network() -> Network:
    return Network()


@pytest.fixture(scope="session")
def trees(network: Network, settings: IndexSettings) -> Callable[[str], Path]:
    """A release's tree by version, downloaded and unpacked once for all sessions."""

    def tree(version: str) -> Path:
        folder = CACHE / f"vllm-{version}"
        if not folder.is_dir():
            CACHE.mkdir(parents=True, exist_ok=True)
            name = f"vllm-{version}.tar.gz"
            (sdist,) = [f for f in read_project("vllm", settings, network) if f.filename == name]
            archive = CACHE / name
            archive.write_bytes(network(sdist.url))
            unpack_sdist(archive, folder)
            archive.unlink()
        return folder

    return tree


@pytest.fixture(scope="session")
def torch_names(network: Network, settings: IndexSettings) -> Callable[[str], TorchNames]:
    """The names in a torch wheel, by range requests."""
    files = read_project("torch", settings, network)

    def names(version: str) -> TorchNames:
        wheel = next(
            file
            for file in files
            if str(file.version) == version and "manylinux" in file.filename and file.size
        )
        remote = RangeFile(
            lambda start, stop: network(wheel.url, start=start, stop=stop), wheel.size or 0
        )
        return read_wheel_names(remote, origin=wheel.filename)

    return names
