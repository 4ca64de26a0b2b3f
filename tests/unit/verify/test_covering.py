"""Every compiled source against what nvcc was told and what the planned GPUs run."""

import pytest

from vllm_forge.records.binary import CodeKind, GpuCode
from vllm_forge.records.check import CheckStatus
from vllm_forge.records.compiled import CompiledSource
from vllm_forge.verify.covering import prove_sources

SM_89 = (CodeKind.ELF, "89")
SM_87 = (CodeKind.ELF, "87")
SM_80 = (CodeKind.ELF, "80")
SM_90A = (CodeKind.ELF, "90a")


def code(container: int, one: tuple[CodeKind, str]) -> GpuCode:
    return GpuCode(one[0], one[1], container=container, size=8, bits=64)


def source(path: str, *codes: tuple[CodeKind, str]) -> CompiledSource:
    return CompiledSource(path, frozenset(codes))


HOST = CompiledSource("bindings.cpp", None)


def test_what_was_told_is_there_and_runs() -> None:
    sources = [HOST, source("a.cu", SM_89), source("b.cu", SM_80)]
    check = prove_sources("_C", [code(0, SM_89), code(1, SM_80)], sources, ["8.9"])
    assert check.status is CheckStatus.PASSED
    assert check.evidence == ("8.9: code of 2 sources",)


def test_a_tegras_code_in_a_cards_build_fails_by_name() -> None:
    """What vLLM 0.10.1 makes of Marlin for 8.9: sm_87, which no card runs."""
    sources = [source("a.cu", SM_89), source("marlin.cu", SM_87)]
    check = prove_sources("_C", [code(0, SM_89), code(1, SM_87)], sources, ["8.9"])
    assert check.status is CheckStatus.FAILED
    assert check.detail == (
        "1 of 2 sources hold sm_87, which none of 8.9 runs: their kernels fail when they are "
        "launched"
    )
    assert check.evidence == ("marlin.cu",)
    assert prove_sources("_C", [code(0, SM_87)], sources[1:], ["8.7"]).status is CheckStatus.PASSED


def test_ptx_beside_an_older_card_s_code_runs() -> None:
    """What vLLM 0.26.0 makes of marlin.cu for 9.0: "8.0+PTX", which the driver translates."""
    ptx = (CodeKind.PTX, "80")
    codes = [code(0, SM_80), code(0, ptx)]
    check = prove_sources("_C", codes, [source("marlin.cu", SM_80, ptx)], ["9.0"])
    assert check.status is CheckStatus.PASSED
    assert check.evidence == ("9.0: code of 1 sources",)


def test_code_for_one_of_two_gpus_is_right_and_is_counted() -> None:
    sources = [source("a.cu", SM_89, SM_90A), source("hopper.cu", SM_90A)]
    codes = [code(0, SM_89), code(0, SM_90A), code(1, SM_90A)]
    check = prove_sources("_C", codes, sources, ["8.9", "9.0"])
    assert check.status is CheckStatus.PASSED
    assert check.evidence == ("8.9: code of 1 sources", "9.0: code of 2 sources")


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        ([code(0, SM_89)], "2 sources were compiled by nvcc, it holds code of 1"),
        (
            [code(0, SM_89), code(1, (CodeKind.ELF, "52"))],
            "1 of 2 sources hold other code than nvcc was told",
        ),
    ],
)
def test_other_code_than_nvcc_was_told(codes: list[GpuCode], said: str) -> None:
    check = prove_sources("_C", codes, [source("a.cu", SM_89), source("b.cu", SM_89)], ["8.9"])
    assert check.status is CheckStatus.FAILED
    assert check.detail == said


def test_host_code_alone_is_not_judged() -> None:
    assert prove_sources("_C", [], [HOST], ["8.9"]).status is CheckStatus.SKIPPED
