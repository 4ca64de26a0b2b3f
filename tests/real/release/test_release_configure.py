"""Configure without CMake, against CMake itself and against what a real configure counted."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from vllm_forge.release import Question, SourceTree, configure
from vllm_forge.release.cmake_blocks import parse_blocks
from vllm_forge.release.cmake_evaluator import Evaluator
from vllm_forge.release.cmake_language import LANGUAGE
from vllm_forge.release.cmake_scope import Scope
from vllm_forge.release.cmake_syntax import parse_cmake
from vllm_forge.release.configuration import ConfigureRun
from vllm_forge.run.process import run_command

pytestmark = pytest.mark.network

VERSIONS = ("0.8.0", "0.8.5", "0.10.1", "0.11.2", "0.14.0", "0.20.0", "0.28.0", "0.33.0")
BLACKWELL_12_8 = "7.5 8.0 8.6 8.7 8.9 9.0 10.0 10.1 10.3 12.0 12.1"
FROM_13_0 = "7.5 8.0 8.6 8.7 8.9 9.0 10.0 11.0 12.0"
UP_TO_9_0 = "7.0 7.2 7.5 8.0 8.6 8.7 8.9 9.0"

Trees = Callable[[str], Path]


@pytest.mark.parametrize(
    ("version", "nvcc", "expected"),
    [
        ("0.8.5", "12.4.131", f"{UP_TO_9_0} 10.0 10.1 12.0"),
        ("0.10.1", "12.4.131", UP_TO_9_0),
        ("0.10.1", "13.0.48", f"{UP_TO_9_0} 10.0 10.1 12.0"),
        ("0.14.0", "12.9.41", f"{UP_TO_9_0} 10.0 10.1 12.0"),
        ("0.14.0", "13.0.48", FROM_13_0),
        ("0.20.0", "12.4.131", "7.0 7.5 8.0 8.6 8.7 8.9 9.0"),
        ("0.20.0", "12.8.61", BLACKWELL_12_8),
        ("0.28.0", "13.4", "7.5 8.0 8.6 8.7 8.9 9.0 10.0 10.7 11.0 12.0"),
        ("0.33.0", "12.9.41", BLACKWELL_12_8),
    ],
)
def test_supported_architectures(trees: Trees, version: str, nvcc: str, expected: str) -> None:
    configured = configure(SourceTree(trees(version)), Question(nvcc=nvcc, architectures=("9.0",)))
    assert configured.supported.value == tuple(expected.split())


@pytest.mark.parametrize(
    ("version", "architectures", "stops"),
    [
        ("0.8.5", ("10.0",), False),
        ("0.10.1", (), False),
        ("0.20.0", (), False),
        ("0.28.0", (), True),
        ("0.33.0", (), True),
    ],
)
def test_blackwell_with_nvcc_12_4(
    trees: Trees, version: str, architectures: tuple[str, ...], *, stops: bool
) -> None:
    question = Question(nvcc="12.4.131", architectures=("10.0",))
    configured = configure(SourceTree(trees(version)), question)
    assert configured.architectures == architectures
    assert (configured.stopped.value is not None) is stops


def test_files_of_0_10_1_for_an_l40s(trees: Trees) -> None:
    """As a real configure of that tree counted them (facts/builds.md)."""
    question = Question(nvcc="12.4.131", architectures=("8.9",))
    configured = configure(SourceTree(trees("0.10.1")), question)
    counted = {t.name: len(t.sources) for t in configured.targets if t.incomplete is None}
    assert counted == {"_C": 50, "_moe_C": 17, "cumem_allocator": 1, "_flashmla_C": 0}
    assert {t.name for t in configured.targets if t.incomplete} == {"_vllm_fa2_C", "_vllm_fa3_C"}


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_with_an_effect_is_skipped(trees: Trees, version: str) -> None:
    """Commands that the evaluator does not know may only be ones that decide nothing."""

    skipped: set[str] = set()
    for question in (
        Question(nvcc="13.0.48", architectures=("9.0", "10.0", "12.0")),
        Question(nvcc="12.4.131", architectures=("8.0",)),
        Question(device="cpu", processor_flags=("avx2", "avx512f", "avx512_bf16")),
    ):
        run = ConfigureRun(SourceTree(trees(version)), question)
        run.run()
        assert run.evaluator.not_understood == []
        skipped |= run.evaluator.skipped
    assert skipped <= {
        *("project", "cmake_minimum_required", "install", "enable_language"),
        *("target_compile_definitions", "target_compile_options", "target_include_directories"),
        *("target_link_libraries", "target_link_options", "set_target_properties"),
        *("set_source_files_properties", "add_dependencies", "add_custom_command"),
        *("include_directories", "add_compile_definitions", "add_compile_options"),
        *("fetchcontent_getproperties", "processorcount", "link_directories"),
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_loose_intersection_is_what_cmake_makes_of_it(
    trees: Trees, version: str, tmp_path: Path
) -> None:
    """The tree's own function, run by CMake and by the evaluator, over lists drawn at random."""
    tree = SourceTree(trees(version))
    draw = random.Random(version)  # noqa: S311 -- test inputs
    known = ["7.0", "7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "10.1", "10.3", "12.0", "12.1"]
    wanted = [*known, "9.0a", "10.0a", "10.0f", "10.3a", "12.0a", "12.0f", "8.0+PTX", "9.0+PTX"]
    cases = [
        (draw.sample(wanted, draw.randint(0, 6)), draw.sample(known, draw.randint(0, 5)))
        for _ in range(150)
    ]
    call = 'cuda_archs_loose_intersection(R "{}" "{}")\n'
    calls = [call.format(";".join(src), ";".join(tgt)) for src, tgt in cases]
    script = tmp_path / "all.cmake"
    script.write_text(
        f"cmake_minimum_required(VERSION 3.26)\ninclude({tree.root}/cmake/utils.cmake)\n"
        + "".join(f'unset(R)\n{one}file(APPEND {tmp_path}/answers "${{R}}\\n")\n' for one in calls)
    )
    done = run_command(["cmake", "-P", script])
    assert done.code == 0, done.stderr
    assert [intersect(tree, one) for one in calls] == (tmp_path / "answers").read_text().split(
        "\n"
    )[:-1]


class Nothing:
    def exists(self, path: str) -> bool:
        raise AssertionError(path)

    def is_target(self, name: str) -> bool:
        raise AssertionError(name)


def intersect(tree: SourceTree, call: str) -> str:
    evaluator = Evaluator(Scope(environment={}), Nothing(), LANGUAGE)
    evaluator.run_file(tree.blocks("cmake/utils.cmake"), "cmake/utils.cmake", "/tree/cmake")

    evaluator.run_file(parse_blocks(parse_cmake(call, origin="t"), origin="t"), "t", "/")
    return evaluator.scope.get("R") or ""
