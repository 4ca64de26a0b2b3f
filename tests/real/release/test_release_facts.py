"""The facts of the real trees. What is expected was read in them by hand, not by this code."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vllm_forge.records.release import Release
from vllm_forge.release import read_release

pytestmark = pytest.mark.network

VERSIONS = ("0.8.0", "0.8.5", "0.10.1", "0.11.2", "0.14.0", "0.20.0", "0.28.0", "0.33.0")

Trees = Callable[[str], Path]


def modelopt_capabilities(release: Release) -> dict[str, int | None]:
    return {
        method.name: method.min_capability.value
        for method in release.quantization
        if method.name == "nvfp4" or method.name.startswith("modelopt")
    }


@pytest.mark.parametrize(
    ("version", "python", "torch", "setuptools", "main_cuda", "capabilities"),
    [
        ("0.8.0", "<3.13,>=3.9", "2.6.0", ">=61", "12.4", {"modelopt": 89, "nvfp4": 100}),
        ("0.8.5", "<3.13,>=3.9", "2.6.0", ">=61", "12.4", {"modelopt": 89, "nvfp4": 100}),
        (
            *("0.10.1", "<3.13,>=3.9", "2.7.1", "<80.0.0,>=77.0.3", "12.8"),
            {"modelopt": 89, "modelopt_fp4": 80},
        ),
        (
            *("0.11.2", "<3.14,>=3.10", "2.9.0", "<81.0.0,>=77.0.3", "12.8"),
            {"modelopt": 89, "modelopt_fp4": 80},
        ),
        (
            *("0.14.0", "<3.14,>=3.10", "2.9.1", "<81.0.0,>=77.0.3", "12.9"),
            {"modelopt": 89, "modelopt_fp4": 75},
        ),
        (
            *("0.20.0", "<3.15,>=3.10", "2.11.0", "<81.0.0,>=77.0.3", "13.0"),
            {"modelopt": 89, "modelopt_fp4": 75, "modelopt_mxfp8": 80, "modelopt_mixed": 89},
        ),
        (
            *("0.28.0", "<3.15,>=3.10", "2.13.0", "<81.0.0,>=77.0.3", "13.0"),
            {"modelopt": 80, "modelopt_fp4": 75, "modelopt_mxfp8": 80, "modelopt_mixed": 75},
        ),
        (
            *("0.33.0", "<3.15,>=3.11", "2.14.0", "<81.0.0,>=77.0.3", "13.0"),
            {"modelopt": 80, "modelopt_fp4": 75, "modelopt_mxfp8": 80, "modelopt_mixed": 75},
        ),
    ],
)
def test_pins_and_the_registry(  # noqa: PLR0913, PLR0917 -- a row of the table
    trees: Trees,
    version: str,
    python: str,
    torch: str,
    setuptools: str,
    main_cuda: str,
    capabilities: dict[str, int],
) -> None:
    release = read_release(trees(version))
    assert release.version.value == version
    assert release.python.value == python
    assert {p.specifier for p in release.torch if p.role in {"build", "cuda", "cmake"}} == {
        f"=={torch}"
    }
    assert release.setuptools.value == setuptools
    assert release.main_cuda.value == main_cuda
    assert modelopt_capabilities(release) == capabilities


@pytest.mark.parametrize(
    ("version", "specifier", "source"),
    [
        ("0.10.1", "==2.6.0+cpu", "requirements/cpu.txt:11"),
        ("0.11.2", "==2.8.0+cpu", "requirements/cpu.txt:10"),
    ],
)
def test_a_cpu_pin_that_differs(trees: Trees, version: str, specifier: str, source: str) -> None:
    pins = [pin for pin in read_release(trees(version)).torch if pin.role == "cpu"]
    (x86,) = [pin for pin in pins if pin.marker and "x86_64" in pin.marker]
    assert (x86.specifier, x86.source) == (specifier, source)


@pytest.mark.parametrize(
    ("version", "flat", "ignore", "upper", "hf_quant_config", "empty", "nested"),
    [
        ("0.8.0", False, False, False, False, "unknown-method", 0),
        ("0.10.1", True, False, False, True, "unknown-method", 2),
        ("0.11.2", True, True, False, True, "unquantized", 2),
        ("0.14.0", True, True, True, True, "unquantized", 4),
        ("0.20.0", True, True, True, True, "unquantized", 4),
        ("0.33.0", True, True, True, True, "unquantized", 5),
    ],
)
def test_how_modelopt_checkpoints_are_read(  # noqa: PLR0913 -- a row of the table
    trees: Trees,
    version: str,
    *,
    flat: bool,
    ignore: bool,
    upper: bool,
    hf_quant_config: bool,
    empty: str,
    nested: int,
) -> None:
    modelopt = read_release(trees(version)).modelopt
    assert modelopt.accepts_flat.value is flat
    assert modelopt.reads_ignore.value is ignore
    assert modelopt.upper_cases_algorithm.value is upper
    assert modelopt.reads_hf_quant_config.value is hf_quant_config
    assert modelopt.empty_method.value == empty
    assert modelopt.nested_algorithms.value is not None
    assert len(modelopt.nested_algorithms.value) == nested


@pytest.mark.parametrize(
    ("version", "subject", "capabilities", "source"),
    [
        ("0.8.0", "_vllm_fa3_C", ("9.x",), "vllm/attention/backends/utils.py:598"),
        ("0.10.1", "_vllm_fa3_C", ("9.x",), "vllm/attention/utils/fa_utils.py:36"),
        ("0.10.1", "_flashmla_C", ("9.x",), "vllm/attention/ops/flashmla.py:29"),
        ("0.20.0", "_vllm_fa3_C", ("9.x",), "vllm/v1/attention/backends/fa_utils.py:78"),
        ("0.33.0", "_flashmla_C", ("9.x", "10.x"), "vllm/v1/attention/ops/flashmla.py:56"),
        ("0.33.0", "_deep_gemm_C", ("9.0", "10.x", "12.x"), "vllm/platforms/cuda.py:694"),
        (
            *("0.33.0", "_deepselect_C", ("10.x",)),
            "vllm/model_executor/layers/indexer_topk.py:157",
        ),
    ],
)
def test_runtime_gates(
    trees: Trees, version: str, subject: str, capabilities: tuple[str, ...], source: str
) -> None:
    gates = {gate.subject: gate.capabilities for gate in read_release(trees(version)).gates}
    assert (gates[subject].value, gates[subject].source) == (capabilities, source)


@pytest.mark.parametrize(
    ("version", "name", "revision", "override"),
    [
        ("0.10.1", "cutlass", "v4.0.0", "VLLM_CUTLASS_SRC_DIR"),
        (
            *("0.10.1", "vllm-flash-attn", "57b4e68b9f9d94750b46de8f8dbd2bfcc86edd4f"),
            "VLLM_FLASH_ATTN_SRC_DIR",
        ),
        ("0.10.1", "oneDNN", "v3.8.1", None),
        ("0.14.0", "triton_kernels", "v3.5.0", "TRITON_KERNELS_SRC_DIR"),
        ("0.33.0", "qutlass", "e74319e3405ce6d71965732880f5dc1f52371f64", "QUTLASS_SRC_DIR"),
        ("0.33.0", "deepgemm", "0820030756945b2daec208e8e8255268360f337d", "DEEPGEMM_SRC_DIR"),
        ("0.33.0", "oneDNN", "v3.13", "FETCHCONTENT_SOURCE_DIR_ONEDNN"),
    ],
)
def test_fetched_projects(
    trees: Trees, version: str, name: str, revision: str, override: str | None
) -> None:
    projects = {project.name: project for project in read_release(trees(version)).projects}
    assert (projects[name].revision, projects[name].override) == (revision, override)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_tree_is_read_from_few_of_its_files(
    trees: Trees, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What keeps it quick, counted instead of timed: one file in twenty, each about once."""
    read: Counter[Path] = Counter()
    bytes_of = Path.read_bytes
    text_of = Path.read_text

    def counted_bytes(path: Path) -> bytes:
        read[path] += 1
        return bytes_of(path)

    def counted_text(path: Path, *arguments: Any, **options: Any) -> str:  # noqa: ANN401 -- passed on
        read[path] += 1
        return text_of(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_bytes", counted_bytes)
    monkeypatch.setattr(Path, "read_text", counted_text)
    tree = trees(version)
    read_release(tree)
    present = sum(len(files) for _, _, files in os.walk(tree))
    assert 5 < len(read) < present / 20
    assert read.total() < 2 * len(read)
