"""The real thing, once a session: vLLM 0.10.1 from its sdist to generated text, for the CPU."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.program import Forge

WISH = ("--vllm", "0.10.1", "--device", "cpu")


@dataclass(frozen=True)
class RealBuild:
    """`stdout` and `stderr` are those of the `up --json` that made it, in an empty home."""

    forge: "Forge"
    document: dict[str, Any]
    stdout: str
    stderr: str

    @property
    def environment(self) -> Path:
        return Path(self.document["environment"])

    @property
    def tree(self) -> Path:
        return next(path for path in (self.forge.home / "sources").glob("vllm-0.10.1-*"))

    @property
    def extension(self) -> Path:
        return self.tree / "vllm" / "_C.abi3.so"

    @property
    def ninja_log(self) -> Path:
        return next((self.forge.home / "builds").glob("*/.ninja_log"))

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The environment's Python, away from the tree."""
        command = [str(self.environment / "bin" / "python"), *words]
        return subprocess.run(
            command, capture_output=True, check=False, cwd="/", text=True, timeout=600
        )


@pytest.fixture(scope="session")
def real_build(
    tmp_path_factory: pytest.TempPathFactory, make_forge: "Callable[[Path], Forge]"
) -> Iterator[RealBuild]:
    """About four minutes on two cores; only uv's own cache may be warm."""
    forge = make_forge(tmp_path_factory.mktemp("up") / "home")
    done = forge("up", *WISH, "--json", timeout=3600)
    assert done.returncode == 0, done.stderr[-4000:]
    yield RealBuild(forge, json.loads(done.stdout), done.stdout, done.stderr)
    forge.expect_nobody()
    shutil.rmtree(forge.home)


@pytest.fixture(scope="session")
def built_home(real_build: RealBuild) -> Path:
    """The home that it lies in."""
    return Path(real_build.forge.home)
