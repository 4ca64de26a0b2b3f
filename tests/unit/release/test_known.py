"""The shipped tables answer at once, and with what must come right."""

import time
from collections.abc import Callable

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from vllm_forge.records.release import Configured
from vllm_forge.release import (
    Question,
    known_releases,
    known_torches,
    read_known_configuration,
    read_known_missing,
    read_known_release,
)
from vllm_forge.release import known as tables

L40S = Question(nvcc="12.4.131", architectures=("8.9",))
B200 = Question(nvcc="12.4.131", architectures=("10.0",))


def configured(version: str, question: Question) -> Configured:
    found = read_known_configuration(version, question)
    assert found is not None
    return found


def counts(version: str, question: Question) -> dict[str, int]:
    return {
        target.name: len(target.sources)
        for target in configured(version, question).targets
        if target.asked and target.sources
    }


def test_every_release_since_0_8_0_in_order() -> None:
    versions = [Version(version) for version in known_releases()]
    assert versions == sorted(versions)
    assert versions[0] == Version("0.8.0")
    assert {Version("0.8.5"), Version("0.10.1"), Version("0.33.0")} <= set(versions)


@pytest.mark.parametrize("version", known_releases())
def test_what_a_plan_needs_is_known_of_each(version: str) -> None:
    release = read_known_release(version)
    assert release is not None
    assert release.version.value == version
    assert release.python.value is not None
    assert SpecifierSet(release.python.value).contains("3.12")
    pins = {pin.role: pin.specifier for pin in release.torch}
    assert pins["cuda"] == pins["build"] == pins["cmake"]
    assert {"modelopt"} <= {method.name for method in release.quantization}
    assert all(m.min_capability.value for m in release.quantization if "modelopt" in m.name)
    assert {project.name for project in release.projects} >= {"cutlass", "vllm-flash-attn"}
    fa3 = next(gate for gate in release.gates if gate.subject == "_vllm_fa3_C")
    assert fa3.capabilities.value == ("9.x",)
    for question in (L40S, Question(device="cpu")):
        targets = [t for t in configured(version, question).targets if t.asked]
        assert any(target.sources for target in targets)
        assert all(target.asked is not None for target in targets)


def test_files_of_0_10_1_for_an_l40s() -> None:
    """As a real configure counted them."""
    assert counts("0.10.1", L40S) == {"_C": 50, "_moe_C": 17, "cumem_allocator": 1}


@pytest.mark.parametrize(("flags", "files"), [(("avx2",), 8), (("avx2", "avx512f"), 10)])
def test_files_of_0_10_1_for_a_cpu(flags: tuple[str, ...], files: int) -> None:
    assert counts("0.10.1", Question(device="cpu", processor_flags=flags)) == {"_C": files}


@pytest.mark.parametrize(
    ("version", "architectures", "stops"),
    [
        ("0.8.5", ("10.0",), False),
        ("0.9.0", (), False),
        ("0.10.1", (), False),
        ("0.26.0", (), False),
        ("0.28.0", (), True),
    ],
)
def test_blackwell_with_nvcc_12_4(
    version: str, architectures: tuple[str, ...], *, stops: bool
) -> None:
    found = configured(version, B200)
    assert found.architectures == architectures
    assert (found.stopped.value is not None) is stops


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        (Question(nvcc="12.4", architectures=("9.0a",)), "a suffix"),
        (Question(nvcc="12.4", architectures=()), "no architecture"),
        (Question(nvcc="10.2", architectures=("7.0",)), "an nvcc older than any"),
        (Question(device="cpu", machine="aarch64"), "another machine"),
    ],
)
def test_what_the_table_cannot_answer_is_left_to_the_tree(question: Question, reason: str) -> None:
    assert read_known_configuration("0.10.1", question) is None, reason


def test_a_global_ptx_is_dropped_as_vllm_drops_it() -> None:
    ptx = configured("0.10.1", Question(nvcc="12.4.131", architectures=("8.9+PTX",)))
    assert ptx.targets == configured("0.10.1", L40S).targets


def test_releases_that_are_not_there() -> None:
    assert read_known_release("0.7.3") is None
    assert read_known_configuration("99.0", L40S) is None
    assert read_known_missing("99.0", "cuda", "2.6.0") is None
    assert read_known_missing("0.10.1", "cuda", "99.0") is None
    assert read_known_missing("0.10.1", "rocm", "2.6.0") is None


BOTH = ("csrc/moe/marlin_moe_wna16/ops.cu", "csrc/quantization/gptq_marlin/gptq_marlin.cu")


def test_0_10_1_with_torch_2_6_0_misses_one_name_in_two_files() -> None:
    missing = read_known_missing("0.10.1", "cuda", "2.6.0+cu124")
    assert missing is not None
    assert [(name.name, name.files) for name in missing] == [("at::Float8_e8m0fnu", BOTH)]


@pytest.mark.parametrize(
    ("version", "device", "torch"),
    [
        ("0.10.1", "cpu", "2.6.0"),
        ("0.10.1", "cuda", "2.7.1"),
        ("0.10.1", "cuda", "2.8.0"),
        ("0.8.5", "cuda", "2.6.0"),
        ("0.8.5", "cuda", "2.7.1"),
    ],
)
def test_combinations_that_are_fine(version: str, device: str, torch: str) -> None:
    assert read_known_missing(version, device, torch) == ()


def test_only_files_that_are_compiled_count() -> None:
    one = read_known_missing("0.10.1", "cuda", "2.6.0", frozenset(BOTH[:1]))
    assert one is not None
    assert [name.files for name in one] == [BOTH[:1]]
    assert read_known_missing("0.10.1", "cuda", "2.6.0", frozenset({"csrc/cache.cu"})) == ()


@pytest.mark.parametrize("version", known_releases())
@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_no_release_misses_anything_in_the_torch_it_pins(version: str, device: str) -> None:
    pinned = tables.read_torch_api().releases[version][device].pinned
    assert read_known_missing(version, device, pinned) in {(), None}


@pytest.mark.parametrize(
    ("version", "cuda", "cxx11_abi"),
    [
        ("2.4.0", "12.1", False),
        ("2.5.1", "12.4", False),
        ("2.6.0", "12.4", False),
        ("2.7.1", "12.6", True),
        ("2.8.0", "12.8", True),
        ("2.10.0", "12.8", True),
        ("2.11.0", "13.0", True),
        ("2.14.0", "13.0", True),
    ],
)
def test_what_torch_carries(version: str, cuda: str, *, cxx11_abi: bool) -> None:
    (torch,) = [torch for torch in known_torches() if torch.version == version]
    assert (torch.cuda, torch.cxx11_abi) == (cuda, cxx11_abi)
    assert "cp312" in torch.pythons
    assert any("x86_64" in platform for platform in torch.platforms)


def fresh(read: Callable[[], object]) -> float:
    """CPU seconds with no table open."""
    for cached in (
        tables.read_table,
        tables.read_known_release,
        tables.read_packed,
        tables.read_torch_api,
        tables.known_torches,
    ):
        cached.cache_clear()
    started = time.process_time()
    read()
    return time.process_time() - started


def test_all_that_a_plan_asks_takes_fifty_milliseconds() -> None:
    """The least of five: other work on the machine only ever adds to it."""

    def ask() -> None:
        read_known_release("0.33.0")
        configured("0.33.0", Question(nvcc="12.9", architectures=("9.0", "10.0")))
        read_known_missing("0.33.0", "cuda", "2.13.0")
        known_torches()

    assert min(fresh(ask) for _ in range(5)) < 0.05
