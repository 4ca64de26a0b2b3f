"""A real CUDA extension of vLLM by a real nvcc 12.4, in a fresh home, and the proof of it.

0.19.1's `_C_stable_libtorch` is the smallest that any release compiles with nvcc 12.4 for 7.5:
three CUDA files and one C++ file on torch's stable ABI. The toolkit is the one that
test_toolkit_made.py keeps; only it and uv's own cache may be warm.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.real.test_toolkit_made import HOME as TOOLKITS
from vllm_forge.records.problem import ExitCode
from vllm_forge.run.process import run_command
from vllm_forge.verify.ninja_file import read_compiled

if TYPE_CHECKING:
    from tests.support.program import Forge

pytestmark = [pytest.mark.network, pytest.mark.compile, pytest.mark.slow]

TARGETS = ("_C_stable_libtorch", "cumem_allocator")
WISH = (
    *("--vllm", "0.19.1", "--device", "cuda", "--cuda", "12.4", "--gpu-arch", "7.5"),
    *("--targets", ",".join(TARGETS)),
)
EXTENSION = "_C_stable_libtorch.abi3.so"


Proven = tuple[int, dict[str, dict[str, Any]]]
"""Exit code of `verify`, checks by name."""


@dataclass(frozen=True)
class CudaBuild:
    forge: "Forge"
    document: dict[str, Any]

    @property
    def record(self) -> Path:
        return Path(self.document["environment"], "forge.json")

    def verify(self) -> Proven:
        done = self.forge("verify", "--json", timeout=900)
        assert done.stdout, done.stderr[-2000:]
        return done.returncode, {one["name"]: one for one in json.loads(done.stdout)["checks"]}


@pytest.fixture(scope="module")
def built(
    tmp_path_factory: pytest.TempPathFactory, make_forge: "Callable[[Path], Forge]"
) -> Iterator[CudaBuild]:
    if run_command(["apt-get", "--version"]).code != 0:
        pytest.skip("apt-get is not here")
    add = [sys.executable, "-m", "vllm_forge", "toolkit", "add", "12.4", "--provider", "debian"]
    said = subprocess.run(
        [*add, "--json", "--home", str(TOOLKITS)], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr
    toolkit = json.loads(said.stdout)["path"]
    home = tmp_path_factory.mktemp("cuda") / "home"
    forge = make_forge(home).under(CUDA_HOME=toolkit)
    done = forge("build", *WISH, "--json", timeout=3600)
    assert done.returncode == 0, done.stderr[-4000:]
    yield CudaBuild(forge, json.loads(done.stdout))
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def proven(built: CudaBuild) -> Proven:
    return built.verify()


def test_the_extension_is_proven_without_a_gpu(proven: Proven) -> None:
    code, checks = proven
    failed = {name: one for name, one in checks.items() if one["status"] == "failed"}
    assert (code, failed) == (ExitCode.DONE, {})
    for question in ("symbols", "needed", "system", "architectures", "sources", "cuobjdump"):
        assert checks[f"{question}:{EXTENSION}"]["status"] == "passed"
    assert "7.5: sm_75 in 3 of 3 compiled" in checks[f"architectures:{EXTENSION}"]["evidence"][0]
    assert checks[f"operators:{EXTENSION}"]["detail"].startswith("registers ")


def test_what_was_left_out_is_said(proven: Proven) -> None:
    _, checks = proven
    left = {name for name, one in checks.items() if one["detail"].startswith("not built: ")}
    assert {"target:_C", "target:_moe_C", "target:_vllm_fa2_C"} <= left
    assert not left & {f"target:{name}" for name in TARGETS}


def test_another_gpu_than_it_was_built_for_fails_with_the_reason(built: CudaBuild) -> None:
    kept = built.record.read_text()
    try:
        built.record.write_text(json.dumps({**json.loads(kept), "gpu_arch": ["9.0"]}))
        code, checks = built.verify()
    finally:
        built.record.write_text(kept)
    assert code == ExitCode.FAILED
    check = checks[f"architectures:{EXTENSION}"]
    assert (check["status"], check["detail"]) == ("failed", "no code for 9.0")
    assert "holds sm_75" in check["evidence"]
    assert checks[f"sources:{EXTENSION}"]["status"] == "failed"


def test_a_second_build_has_nothing_to_do(built: CudaBuild) -> None:
    again = built.forge("build", *WISH, "--json", timeout=900)
    assert json.loads(again.stdout)["status"] == "unchanged"


@pytest.mark.acceptance
def test_a_new_release_with_the_indexs_toolkit(
    tmp_path: Path, make_forge: "Callable[[Path], Forge]"
) -> None:
    """CUDA 13 from the package index; what CMake lists is what the plan had read from the tree."""
    forge = make_forge(tmp_path / "home")
    wish = ("--vllm", "0.31.0", "--device", "cuda", "--cuda", "13.0", "--gpu-arch", "8.9")
    done = forge("build", *wish, "--targets", "cumem_allocator", "--json", timeout=3600)
    assert done.returncode == 0, done.stderr[-4000:]
    document = json.loads(done.stdout)
    (build,) = (forge.home / "builds").glob("vllm-0.31.0-*")
    listed = {name.partition(".")[0]: len(files) for name, files in read_compiled(build).items()}
    planned = {
        target["name"]: target["files"] for target in document["plan"]["targets"] if target["files"]
    }
    assert {"_C_stable_libtorch", "_moe_C_stable_libtorch", "cumem_allocator"} <= set(planned)
    assert {name: listed[name] for name in planned} == planned
    proven = CudaBuild(forge, document).verify()
    assert proven[0] == ExitCode.DONE, proven[1]
    shutil.rmtree(forge.home)
