"""The shipped tables against the trees, the index and torch's headers."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.version import Version

from scripts import release_table
from vllm_forge.release import (
    Question,
    SourceTree,
    TorchNames,
    configure,
    find_missing,
    known_releases,
    read_known_configuration,
    read_known_missing,
    read_known_release,
    read_release,
    read_torch_uses,
)
from vllm_forge.release.known import read_packed
from vllm_forge.run.index import IndexSettings, read_project
from vllm_forge.run.network import Network

pytestmark = pytest.mark.network

Trees = Callable[[str], Path]


def test_the_preflight_of_0_10_1_with_torch_2_6_0(
    trees: Trees, torch_names: Callable[[str], TorchNames]
) -> None:
    """Named with both files; the CPU target and the pinned torch are fine."""
    old, pinned = torch_names("2.6.0"), torch_names("2.7.1")
    tree = SourceTree(trees("0.10.1"))
    cuda = configure(tree, Question(nvcc="12.4.131", architectures=("8.9",)))
    cpu = configure(tree, Question(device="cpu", processor_flags=("avx2", "avx512f")))
    cuda_uses = read_torch_uses(tree, "cuda", [s for t in cuda.targets for s in t.sources])
    cpu_uses = read_torch_uses(tree, "cpu", [s for t in cpu.targets for s in t.sources])
    missing = find_missing(cuda_uses, old, pinned)
    assert {name.name: name.files for name in missing} == {
        "at::Float8_e8m0fnu": (
            "csrc/moe/marlin_moe_wna16/ops.cu",
            "csrc/quantization/gptq_marlin/gptq_marlin.cu",
        )
    }
    assert find_missing(cpu_uses, old, pinned) == ()
    assert find_missing(cuda_uses, pinned, pinned) == ()
    assert read_known_missing("0.10.1", "cuda", "2.6.0") == missing


@pytest.mark.slow
@pytest.mark.parametrize("version", ["0.8.5", "0.10.1", "0.28.0"])
def test_the_shipped_tables_are_what_the_trees_say(trees: Trees, version: str) -> None:
    tree = SourceTree(trees(version))
    assert read_release(tree.root) == read_known_release(version)
    for question in (
        Question(nvcc="12.4.131", architectures=("8.9",)),
        Question(nvcc="12.8.61", architectures=("9.0",)),
        Question(nvcc="13.0.48", architectures=("12.0",)),
        Question(device="cpu"),
        Question(device="cpu", processor_flags=("avx2", "avx512f", "avx512_bf16", "avx512_vnni")),
    ):
        assert read_known_configuration(version, question) == configure(tree, question)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["0.8.5", "0.33.0"])
def test_an_entry_made_again_is_the_shipped_one(trees: Trees, version: str, tmp_path: Path) -> None:
    """The generator scripts are run again too, in a copy of the tree."""
    packages = release_table.install_packages(tmp_path / "packages")
    shutil.copytree(trees(version), tmp_path / "tree", symlinks=True)
    entry = release_table.read_entry(tmp_path / "tree", packages, {})
    assert entry.release == read_known_release(version)
    assert entry.packed == read_packed(version)


def test_every_release_on_the_index_is_in_the_table(
    network: Network, settings: IndexSettings
) -> None:
    """A newer one than the table is read on demand, so only older ones may not be missing."""
    known = known_releases()
    offered = {
        file.version
        for file in read_project("vllm", settings, network)
        if file.filename.endswith(".tar.gz") and file.version and not file.yanked
    }
    newest = max(Version(version) for version in known)
    expected = {v for v in offered if Version("0.8.0") <= v <= newest and not v.is_prerelease}
    assert {Version(version) for version in known} == expected
