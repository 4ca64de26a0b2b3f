import pytest

from vllm_forge.records.binary import CodeKind, GpuCode
from vllm_forge.records.check import CheckStatus
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.verify.architectures import (
    parse_capability,
    prove_architectures,
    render_architectures,
    runs_on,
)


def code(target: str, container: int = 0) -> GpuCode:
    """`sm_90a` or `compute_80`."""
    word, architecture = target.split("_")
    kind = {"sm": CodeKind.ELF, "compute": CodeKind.PTX, "lto": CodeKind.NVVM}[word]
    return GpuCode(kind, architecture, container, size=8, bits=64)


@pytest.mark.parametrize(
    ("target", "runs", "not_on"),
    [
        ("sm_80", ["8.0", "8.6", "8.9"], ["7.5", "8.7", "9.0"]),
        ("sm_89", ["8.9"], ["8.0", "8.6", "9.0"]),
        ("sm_87", ["8.7"], ["8.9"]),
        ("sm_90", ["9.0"], ["8.9", "10.0", "12.0"]),
        ("sm_90a", ["9.0"], ["10.0"]),
        ("sm_100a", ["10.0"], ["10.3"]),
        ("sm_100f", ["10.0", "10.3"], ["12.0", "11.0", "9.0"]),
        ("sm_103f", ["10.3"], ["10.0"]),
        ("sm_120f", ["12.0", "12.1"], ["10.0"]),
        ("compute_80", ["8.0", "8.7", "8.9", "9.0", "12.0"], ["7.5"]),
        ("compute_90a", ["9.0"], ["10.0", "8.9"]),
        ("compute_100f", ["10.0", "10.3"], ["12.0"]),
        ("lto_80", [], ["8.0", "8.6"]),
    ],
)
def test_what_runs_where(target: str, runs: list[str], not_on: list[str]) -> None:
    def on(capability: str) -> bool:
        major, minor, _, _ = parse_capability(capability)
        return runs_on(code(target), major, minor)

    assert [capability for capability in [*runs, *not_on] if on(capability)] == runs


def test_machine_code_for_all_passes_and_says_how_many_sources() -> None:
    codes = [code("sm_80", 0), code("sm_90a", 1), code("sm_80", 1)]
    check = prove_architectures("_C.abi3.so", codes, ["8.9", "9.0"])
    assert check.status is CheckStatus.PASSED
    assert check.name == "architectures:_C.abi3.so"
    assert check.evidence == (
        "8.9: sm_80 in 2 of 2 compiled sources",
        "9.0: sm_90a in 1 of 2 compiled sources",
        "holds sm_80 sm_90a",
    )


def test_a_missing_architecture_fails_with_what_there_is() -> None:
    check = prove_architectures("_C.abi3.so", [code("sm_90a"), code("sm_80")], ["8.9", "12.0"])
    assert check.status is CheckStatus.FAILED
    assert check.detail == "no code for 12.0"
    assert "12.0: neither machine code nor PTX that runs on it" in check.evidence
    assert check.evidence[-1] == "holds sm_80 sm_90a"


def test_ptx_alone_passes_and_is_told() -> None:
    check = prove_architectures("_C.abi3.so", [code("compute_80")], ["8.9"])
    assert check.status is CheckStatus.PASSED
    assert "only PTX (compute_80)" in check.evidence[0]


@pytest.mark.parametrize(
    ("wanted", "there", "status"),
    [
        ("9.0a", "sm_90", CheckStatus.FAILED),
        ("9.0a", "sm_90a", CheckStatus.PASSED),
        ("10.0f", "sm_100a", CheckStatus.FAILED),
        ("9.0a", "compute_90a", CheckStatus.FAILED),
        ("8.0+PTX", "sm_80", CheckStatus.FAILED),
        ("8.0+PTX", "compute_80", CheckStatus.PASSED),
    ],
)
def test_an_exact_wish_is_not_met_by_another(wanted: str, there: str, status: CheckStatus) -> None:
    assert prove_architectures("_C.abi3.so", [code(there)], [wanted]).status is status


def test_no_gpu_code_is_not_judged() -> None:
    check = prove_architectures("cumem_allocator.abi3.so", [], ["8.9"])
    assert check.status is CheckStatus.SKIPPED


@pytest.mark.parametrize("text", ["89", "sm_89", "8.9b", "8.", "8.9+ptx", ""])
def test_a_misspelled_capability_is_a_usage_error(text: str) -> None:
    with pytest.raises(Problem, match="is no compute capability") as caught:
        prove_architectures("_C.abi3.so", [code("sm_80")], [text])
    assert caught.value.exit_code is ExitCode.USAGE


def test_architectures_in_the_order_of_the_hardware() -> None:
    codes = [code(one) for one in ["sm_120", "sm_90a", "sm_90", "compute_90", "sm_80"]]
    assert render_architectures(codes) == "sm_80 sm_90 sm_90a sm_120, PTX compute_90"
    assert render_architectures([code("compute_80")]) == "no machine code, PTX compute_80"
