"""What CMake would decide, on the small trees."""

from collections.abc import Callable
from pathlib import Path

import pytest

from vllm_forge.records.release import Configured, ConfiguredTarget
from vllm_forge.release import Question, SourceTree, configure
from vllm_forge.release.configuration import read_nvcc_classes
from vllm_forge.release.generated_sources import GeneratedTable, Output

AVX512 = ("avx2", "avx512f")


def target(configured: Configured, name: str) -> ConfiguredTarget:
    (found,) = [target for target in configured.targets if target.name == name]
    return found


def test_files_of_each_target(early: Path) -> None:
    configured = configure(SourceTree(early), Question(nvcc="12.4.131", architectures=("8.9",)))
    assert configured.supported.value == ("7.5", "8.0", "8.6", "8.9", "9.0", "10.0")
    assert configured.supported.source == "CMakeLists.txt:6"
    assert configured.architectures == ("8.9",)
    assert target(configured, "_C").sources == ("csrc/cache.cu", "csrc/bindings.cpp")
    assert target(configured, "_C").source == "CMakeLists.txt:38"
    assert target(configured, "_flashmla_C").sources == ()
    assert configured.stopped.value is None


def test_a_kernel_group_adds_its_files(early: Path) -> None:
    tree = SourceTree(early)
    hopper = configure(tree, Question(nvcc="12.4", architectures=("8.9", "9.0")))
    assert target(hopper, "_C").sources[-1] == "csrc/hopper.cu"
    (group,) = [group for group in hopper.groups if group.name == "HOPPER_ARCHS"]
    assert (group.wanted, group.architectures) == (("9.0a",), ("9.0a",))
    assert group.source == "CMakeLists.txt:32"


@pytest.mark.parametrize(
    ("nvcc", "files", "warned"), [("12.0", 2, True), ("12.0.76", 3, False), ("11.8", 2, True)]
)
def test_version_greater_sees_the_whole_version(
    early: Path, nvcc: str, files: int, *, warned: bool
) -> None:
    configured = configure(SourceTree(early), Question(nvcc=nvcc, architectures=("9.0",)))
    assert len(target(configured, "_C").sources) == files
    assert configured.warnings == (
        ("Hopper kernels need CUDA 12.0 (CMakeLists.txt:36)",) if warned else ()
    )


def test_0_8_accepts_what_this_nvcc_cannot_compile(early: Path) -> None:
    configured = configure(SourceTree(early), Question(nvcc="12.4", architectures=("10.0",)))
    assert configured.architectures == ("10.0",)
    assert configured.stopped.value is None


@pytest.mark.parametrize(
    ("nvcc", "expected"),
    [
        ("12.4.131", ("7.0", "8.0", "9.0")),
        ("12.8.61", ("8.0", "9.0", "10.0", "10.3", "12.0")),
        ("12.9", ("8.0", "9.0", "10.0", "10.3", "12.0")),
        ("13.0", ("8.0", "9.0", "10.0", "12.0")),
    ],
)
def test_supported_architectures_of_each_nvcc(
    late: Path, nvcc: str, expected: tuple[str, ...]
) -> None:
    configured = configure(SourceTree(late), Question(nvcc=nvcc, architectures=("9.0",)))
    assert configured.supported.value == expected


def test_nothing_supported_ends_configure(late: Path) -> None:
    configured = configure(SourceTree(late), Question(nvcc="12.4", architectures=("10.0",)))
    assert configured.stopped.value is not None
    assert configured.stopped.value.startswith("No supported CUDA architectures")
    assert configured.stopped.source == "CMakeLists.txt:32"
    assert configured.architectures == ()


def test_generated_files_that_nobody_knows_leave_a_target_open(late: Path) -> None:
    configured = configure(SourceTree(late), Question(nvcc="13.0", architectures=("10.0",)))
    stable = target(configured, "_C_stable_libtorch")
    assert stable.sources == ("csrc/all.cu",)
    assert stable.incomplete == "csrc/generate.py writes files that only running it shows"


def test_generated_files_that_the_table_knows(late: Path) -> None:
    tree = SourceTree(late)
    output = Output(("10.0",), ("kernel_a.cu", "kernel_b.cu", "not_globbed.cu"))
    table = GeneratedTable(1, {tree.sha256("csrc/generate.py"): (output,)})
    question = Question(nvcc="13.0", architectures=("10.0",))
    configured = configure(tree, question, table)
    stable = target(configured, "_C_stable_libtorch")
    assert stable.sources == ("csrc/all.cu", "csrc/kernel_a.cu", "csrc/kernel_b.cu")
    assert stable.codes == ("sm_100f",)
    assert stable.incomplete is None


def test_files_that_an_earlier_build_left_are_not_counted(own_tree: Callable[[str], Path]) -> None:
    """In a tree of the user's own the scripts have run before, for another GPU perhaps."""
    late = own_tree("late")
    tree = SourceTree(late)
    outputs = (Output(("10.0",), ("kernel_a.cu",)), Output(("9.0",), ("kernel_c.cu",)))
    table = GeneratedTable(1, {tree.sha256("csrc/generate.py"): outputs})
    for name in ("kernel_a.cu", "kernel_c.cu", "kernel_mine.cu"):
        (late / "csrc" / name).touch()
    question = Question(nvcc="13.0", architectures=("10.0",))
    stable = target(configure(SourceTree(late), question, table), "_C_stable_libtorch")
    assert stable.sources == ("csrc/all.cu", "csrc/kernel_a.cu", "csrc/kernel_mine.cu")


def test_files_of_a_fetched_project_are_open_unless_it_is_here(late: Path, tmp_path: Path) -> None:
    tree = SourceTree(late)
    question = Question(nvcc="12.4", architectures=("9.0",))
    unknown = target(configure(tree, question), "_deep_gemm_C")
    assert unknown.sources == ("csrc/deepgemm.cpp",)
    assert unknown.incomplete == "deepgemm-src/csrc/*.cu is not in vLLM's tree"
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "one.cu").touch()
    known = configure(
        tree, Question(nvcc="12.4", architectures=("9.0",), local={"deepgemm": tmp_path})
    )
    found = target(known, "_deep_gemm_C")
    assert found.sources == ("csrc/deepgemm.cpp", "deepgemm-src/csrc/one.cu")
    assert found.incomplete is None


@pytest.mark.parametrize(
    ("flags", "files"),
    [(("avx2",), ("csrc/cpu.cpp",)), (AVX512, ("csrc/cpu.cpp", "csrc/avx512.cpp"))],
)
def test_the_cpu_target_follows_the_processor(
    late: Path, flags: tuple[str, ...], files: tuple[str, ...]
) -> None:
    configured = configure(SourceTree(late), Question(device="cpu", processor_flags=flags))
    assert target(configured, "_C").sources == files


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (
            Question(nvcc="12.4", architectures=("9.0",)),
            {
                "_C_stable_libtorch": True,
                "_deep_gemm_C": True,
                "_vllm_fa3_C": True,
                "spinloop": True,
                "_odd_C": None,
            },
        ),
        (
            Question(nvcc="12.2", architectures=("9.0",), python="3.10"),
            {"_C_stable_libtorch": True, "_deep_gemm_C": True, "_odd_C": None},
        ),
        (Question(device="cpu"), {"_C": True, "_C_AVX2": True, "spinloop": True}),
        (
            Question(device="cpu", machine="aarch64"),
            {"_C": True, "spinloop": True},
        ),
    ],
)
def test_what_setup_py_asks_for(
    late: Path, question: Question, expected: dict[str, bool | None]
) -> None:
    configured = configure(SourceTree(late), question)
    asked = {target.name: target.asked for target in configured.targets}
    assert {name: answer for name, answer in asked.items() if answer is not False} == expected


def test_a_target_defined_elsewhere_is_there_and_open(early: Path) -> None:
    configured = configure(SourceTree(early), Question(nvcc="12.4", architectures=("8.9",)))
    fa3 = target(configured, "_vllm_fa3_C")
    assert (fa3.sources, fa3.asked, fa3.source) == ((), True, "setup.py:22")
    assert fa3.incomplete == "its files are listed by a project that CMake fetches"


def test_nvcc_versions_that_make_a_difference(early: Path, late: Path) -> None:
    assert read_nvcc_classes(SourceTree(early)) == ("11.0", "12.0")
    assert read_nvcc_classes(SourceTree(late)) == ("11.0", "12.3", "12.8", "13.0")
