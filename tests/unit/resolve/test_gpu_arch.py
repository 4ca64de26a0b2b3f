"""Which architectures are compiled for, on machines and with toolkits that we do not have."""

from dataclasses import replace

import pytest

from vllm_forge.probe.cuda_tables import read_cuda_table, read_recorded_machines
from vllm_forge.records.decision import Chosen, Refused
from vllm_forge.records.machine import Gpu, Machine
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.sourced import Sourced
from vllm_forge.resolve.gpu_arch import TreeArchs, choose_gpu_arch, parse_gpu_arch, runs_on

TABLE = read_cuda_table()
RECORDED = read_recorded_machines()
OLD = ("7.0", "7.2", "7.5", "8.0", "8.6", "8.7", "8.9", "9.0")
NEW = (*OLD, "10.0", "10.1", "12.0")


def tree(*supported: str, version: str = "0.10.1", empty_fails: bool = False) -> TreeArchs:
    """0.10.1's CMakeLists.txt: NEW from nvcc 12.8 on, else OLD; empty goes on without a word."""
    return TreeArchs(
        version,
        Sourced(supported, "CMakeLists.txt:88"),
        Sourced(empty_fails, "CMakeLists.txt:153"),
    )


def machine(*capabilities: str) -> Machine:
    return Machine(gpus=tuple(Gpu(f"GPU {each}", each) for each in capabilities))


def choose(wish: str, box: Machine, toolkit: str, facts: TreeArchs) -> tuple[str, ...] | Refused:
    decision = choose_gpu_arch(wish, box, toolkit, facts, TABLE)
    return decision.value if isinstance(decision, Chosen) else decision


def chosen(wish: str, box: Machine, toolkit: str, facts: TreeArchs) -> Chosen[tuple[str, ...]]:
    decision = choose_gpu_arch(wish, box, toolkit, facts, TABLE)
    assert isinstance(decision, Chosen)
    return decision


def refused(wish: str, box: Machine, toolkit: str, facts: TreeArchs) -> Refused:
    decision = choose_gpu_arch(wish, box, toolkit, facts, TABLE)
    assert isinstance(decision, Refused)
    return decision


@pytest.mark.parametrize(
    ("name", "toolkit", "supported", "expected"),
    [
        ("l40s-cuda-12.4", "12.4.131", OLD, ("8.9",)),
        ("h100-cuda-12.8", "12.8.93", NEW, ("9.0",)),
        ("a100-cuda-12.1", "12.1.105", OLD, ("8.0",)),
        ("rtx-4090-laptop", "12.8.61", NEW, ("8.9",)),
        ("t4-cuda-12.2", "12.2.140", OLD, ("7.5",)),
        ("b200-cuda-12.4", "12.8.93", NEW, ("10.0",)),
    ],
)
def test_recorded_machines_get_their_own(
    name: str, toolkit: str, supported: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    decision = chosen("auto", RECORDED[name], toolkit, tree(*supported))
    assert decision.value == expected
    assert decision.warnings == ()


@pytest.mark.parametrize("box", [RECORDED["b200-cuda-12.4"], machine("12.0")])
def test_blackwell_with_cuda_12_4_is_refused_and_the_silence_is_told(box: Machine) -> None:
    capability = (box.gpus or ())[0].capability
    decision = refused("auto", box, "12.4.131", tree(*OLD))
    said = " ".join(reason.fact for reason in decision.because)
    assert f"CUDA 12.4.131 generates no code for {capability}" in said
    assert "configures with an empty architecture list" in said
    assert decision.ways_out == ("--cuda 12.8",)
    loud = refused("auto", box, "12.4.131", tree(*OLD, version="0.28.0", empty_fails=True))
    assert "empty" not in " ".join(reason.fact for reason in loud.because)


def test_an_unconditional_list_does_not_fool_it() -> None:
    """0.8 lists 10.0 for any nvcc; nvcc 12.4 would stop at the first file."""
    decision = refused("auto", machine("10.0"), "12.4", tree(*NEW, version="0.8.5"))
    assert decision.ways_out == ("--cuda 12.8",)


@pytest.mark.parametrize(
    ("capability", "toolkit", "supported", "expected"),
    [
        ("10.3", "12.9", NEW, "10.0"),  # never 10.1: Tegra, though the tree's CMake would take it
        ("12.1", "12.8", ("12.0", "12.1"), "12.0"),  # listed, but nvcc 12.8 does not know 12.1
        ("12.1", "13.0", ("10.0", "12.0"), "12.0"),
        ("10.7", "13.4", ("10.0", "10.7"), "10.7"),
    ],
)
def test_an_older_minor_version_serves(
    capability: str, toolkit: str, supported: tuple[str, ...], expected: str
) -> None:
    decision = chosen("auto", machine(capability), toolkit, tree(*supported))
    assert decision.value == (expected,)
    warned = " ".join(decision.warnings)
    assert (f"compiled for {expected}" in warned) is (capability != expected)
    assert (f"{expected}a alone do not run on {capability}" in warned) is (capability != expected)


def test_a_gpu_too_old_is_left_out_while_another_is_served() -> None:
    decision = chosen("auto", machine("8.9", "6.1"), "12.8", tree(*NEW))
    assert decision.value == ("8.9",)
    assert any(
        text.startswith("GPU 6.1 is compute capability 6.1: left out") for text in decision.warnings
    )
    assert isinstance(choose("auto", machine("6.1"), "12.8", tree(*NEW)), Refused)


def test_cuda_13_no_longer_compiles_for_volta() -> None:
    decision = refused("auto", machine("7.0"), "13.0", tree("7.5", "8.0"))
    assert decision.ways_out == ()  # no newer toolkit does


def test_several_kinds_of_gpus_in_order() -> None:
    assert choose("auto", machine("9.0", "8.0", "9.0"), "12.8", tree(*NEW)) == ("8.0", "9.0")


@pytest.mark.parametrize(
    ("box", "said"),
    [
        (Machine(), "this machine's GPUs are unknown"),
        (Machine(gpus=()), "no NVIDIA GPU here"),
        (Machine(gpus=(Gpu("NVIDIA PCI device 0x26b9"),)), "compute capability of NVIDIA PCI"),
    ],
)
def test_without_a_gpu_it_has_to_be_named(box: Machine, said: str) -> None:
    decision = refused("auto", box, "12.8", tree(*NEW))
    assert said in decision.because[0].fact
    assert decision.ways_out == ("name it: --gpu-arch 8.9",)
    assert choose("8.9", box, "12.8", tree(*NEW)) == ("8.9",)


def test_what_was_named_must_be_served_whole() -> None:
    decision = refused("8.9,12.0", Machine(gpus=()), "12.4", tree(*OLD))
    assert "--cuda 12.8" in decision.ways_out
    assert choose("8.9,12.0", Machine(gpus=()), "12.8", tree(*NEW)) == ("8.9", "12.0")


@pytest.mark.parametrize(
    ("wish", "toolkit", "ways_out"),
    [
        ("9.0a", "11.8", ("--cuda 12.0", "--gpu-arch 9.0")),
        ("10.0f", "12.8", ("--cuda 12.9", "--gpu-arch 10.0")),
        ("10.0a", "12.4", ("--cuda 12.8", "--gpu-arch 10.0")),
    ],
)
def test_a_suffix_needs_a_toolkit_that_has_it(
    wish: str, toolkit: str, ways_out: tuple[str, ...]
) -> None:
    assert refused(wish, machine(), toolkit, tree(*NEW)).ways_out == ways_out


def test_a_suffix_that_is_there_is_kept_and_explained() -> None:
    decision = chosen("9.0a", machine("9.0"), "12.4", tree(*OLD))
    assert decision.value == ("9.0a",)
    assert "--gpu-arch 9.0 is enough" in decision.warnings[0]
    assert chosen("10.0f", machine("10.3"), "12.9", tree(*NEW)).warnings == ()


def test_ptx_is_dropped_aloud() -> None:
    decision = chosen("8.9+PTX", machine("8.9"), "12.4", tree(*OLD))
    assert decision.value == ("8.9",)
    assert decision.warnings == (
        "8.9+PTX: vLLM's CMake drops +PTX, machine code alone is compiled",
    )


def test_naming_another_gpu_than_this_machine_has_is_said() -> None:
    decision = chosen("9.0", RECORDED["l40s-cuda-12.4"], "12.4", tree(*OLD))
    assert decision.warnings == (
        "NVIDIA L40S of this machine is 8.9: what is compiled does not run on it",
    )


def test_a_toolkit_newer_than_the_table_is_trusted_aloud() -> None:
    decision = chosen("auto", machine("12.0"), "14.1", tree("12.0"))
    assert decision.value == ("12.0",)
    assert "CUDA 14.1 is not in data/cuda.json" in decision.warnings[0]


def test_a_tree_whose_list_is_unknown_is_judged_by_the_toolkit() -> None:
    facts = replace(tree(), supported=Sourced(None, "CMakeLists.txt: not found"))
    assert choose("auto", machine("8.9"), "12.4", facts) == ("8.9",)
    assert isinstance(choose("auto", machine("10.0"), "12.4", facts), Refused)


@pytest.mark.parametrize("wish", ["89", "8.9a+ptx", "sm_89", "8", "", ",", "8.9,x", "8.9\n;rm"])
def test_what_is_no_capability_is_a_usage_error(wish: str) -> None:
    with pytest.raises(Problem) as caught:
        parse_gpu_arch(wish)
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("architecture", "capability", "runs"),
    [
        ("8.0", "8.9", True),
        ("8.9", "8.0", False),
        ("8.6", "8.7", False),
        ("8.7", "8.9", False),
        ("8.7", "8.7", True),
        ("9.0", "10.0", False),
        ("9.0a", "9.0", True),
        ("10.0a", "10.3", False),
        ("10.0f", "10.3", True),
        ("10.3f", "10.0", False),
        ("12.0f", "12.1", True),
        ("12.0f", "10.0", False),
    ],
)
def test_binary_compatibility(architecture: str, capability: str, *, runs: bool) -> None:
    assert runs_on(architecture, capability) is runs
