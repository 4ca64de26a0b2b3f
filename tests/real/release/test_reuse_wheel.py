"""vLLM 0.10.1's wheel and sdist: what is taken, at what cost, and whom an edit reaches."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.published import WHEEL
from vllm_forge.cli.publishing import edits_of, find_changed
from vllm_forge.records.check import CheckStatus
from vllm_forge.records.home import Home
from vllm_forge.release import Question, SourceTree, configure
from vllm_forge.run.doors import Doors
from vllm_forge.run.files import sha256_of
from vllm_forge.run.home import choose_home
from vllm_forge.run.index import read_index_settings
from vllm_forge.run.network import Network
from vllm_forge.run.process import run_command
from vllm_forge.run.published import find_file, read_release_wheel
from vllm_forge.run.sdist_manifest import read_manifest
from vllm_forge.run.wheel_member import take_member
from vllm_forge.verify.architectures import prove_architectures
from vllm_forge.verify.elf import read_extension
from vllm_forge.verify.fatbin import read_gpu_code

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

pytestmark = pytest.mark.network

MIB = 1 << 20
FA2 = "vllm/vllm_flash_attn/_vllm_fa2_C.abi3.so"
KEPT = choose_home(None) / "downloads" / "test-members" / "vllm-0.10.1"
FILES = ("CMakeLists.txt", "cmake", "csrc")


class Counting(Network):
    """Counts the bytes of every answer that says how long it is."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def open(self, url: str, **more: object) -> "BaseHTTPResponse":
        response = super().open(url, **more)  # type: ignore[arg-type]
        self.bytes += int(response.headers.get("Content-Length", 0))
        return response


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def doors(tmp_path: Path, counting: Counting) -> Doors:
    return Doors(
        home=Home(tmp_path / "home"),
        settings=read_index_settings(os.environ, run_command),
        network=counting,
        run=run_command,
        emit=lambda _event: None,
        environ={},
        offline=False,
    )


def test_the_published_wheel_is_what_the_unit_tests_decide_about(
    doors: Doors, counting: Counting
) -> None:
    files_page = find_file(WHEEL.filename, WHEEL.sha256, doors)
    assert files_page.size == WHEEL.size
    page = counting.bytes
    assert read_release_wheel("0.10.1", "x86_64", doors).value == WHEEL
    assert counting.bytes - 2 * page < 3 * MIB


def test_flash_attention_is_taken_by_its_own_bytes_and_runs_on_8_9(
    doors: Doors, counting: Counting
) -> None:
    url = find_file(WHEEL.filename, WHEEL.sha256, doors).url
    member = next(one for one in WHEEL.members if one.name == FA2)
    before = counting.bytes
    fetched = take_member(url, member, KEPT / FA2, doors.network, lambda _count: None)
    assert fetched == counting.bytes - before
    assert fetched in {0, member.span}
    assert member.span < 80 * MIB < WHEEL.size / 4
    assert sha256_of(KEPT / FA2) == member.sha256
    codes = read_gpu_code(KEPT / FA2)
    proven = prove_architectures("fa2", codes, ["8.9"])
    assert proven.status is CheckStatus.PASSED
    assert "8.9: sm_80 in " in proven.evidence[0]
    assert prove_architectures("fa2", codes, ["7.5"]).status is CheckStatus.FAILED
    assert "libcudart.so.12" in read_extension(KEPT / FA2).needed


@pytest.fixture
def tree(trees: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy that the test may edit."""
    whole = trees("0.10.1")
    shutil.copytree(whole, tmp_path / "tree", ignore=shutil.ignore_patterns("tests", "docs"))
    return tmp_path / "tree"


@contextmanager
def edited(file: Path, old: str, new: str) -> Iterator[None]:
    text = file.read_text() if file.exists() else ""
    assert old in text
    file.write_text(text.replace(old, new, 1) if old else f"{text}{new}")
    yield
    if text:
        file.write_text(text)
    else:
        file.unlink()


def test_whom_an_edit_reaches(tree: Path, doors: Doors) -> None:
    configured = configure(
        SourceTree(tree), Question(device="cuda", nvcc="12.4", architectures=("8.9",))
    )
    assert find_changed(tree, read_manifest("0.10.1", doors)) == ()

    def reached() -> set[str]:
        edits = edits_of(tree, doors)(configured, "0.10.1")
        assert edits.value is not None, edits.source
        return set(edits.value)

    everybody = {target.name for target in configured.targets}
    for file, old, new, expected in (
        ("csrc/moe/topk_softmax_kernels.cu", "", "// mine\n", {"_moe_C"}),
        ("csrc/cumem_allocator.cpp", "", "// mine\n", {"cumem_allocator"}),
        ("csrc/quantization/gptq_marlin/kernel.h", "", "// mine\n", {"_C"}),
        ("csrc/moe/marlin_moe_wna16/kernel.h", "", "// mine\n", {"_moe_C"}),
        ("csrc/core/registration.h", "", "// mine\n", {"_C", "_moe_C"}),
        ("csrc/moe/marlin_moe_wna16/kernel_bf16_ku4.cu", "", "// generated\n", set()),
        ("csrc/quantization/machete/Readme.md", "", "words\n", set()),
        ("CMakeLists.txt", "", "# a comment\n", set()),
        (
            "CMakeLists.txt",
            "project(vllm_extensions",
            "set(X 1)\nproject(vllm_extensions",
            everybody,
        ),
        ("cmake/external_projects/vllm_flash_attn.cmake", "57b4e68b", "67b4e68b", everybody),
    ):
        with edited(tree / file, old, new):
            assert reached() == expected, f"{file}: {new}"


def test_a_new_kernel_reaches_the_target_that_lists_it(tree: Path, doors: Doors) -> None:
    (tree / "csrc" / "mine.cu").write_text("// mine\n")
    lists = tree / "CMakeLists.txt"
    text = lists.read_text()
    assert '"csrc/cache_kernels.cu"' in text
    lists.write_text(
        text.replace('"csrc/cache_kernels.cu"', '"csrc/cache_kernels.cu" "csrc/mine.cu"')
    )
    question = Question(device="cuda", nvcc="12.4", architectures=("8.9",))
    edits = edits_of(tree, doors)(configure(SourceTree(tree), question), "0.10.1")
    assert edits.value == {"_C": ("csrc/mine.cu",)}
