"""Kernels that the host code may launch against those that the planned GPUs have."""

import pytest

from vllm_forge.records.binary import CodeKind, GpuCode
from vllm_forge.records.check import CheckStatus
from vllm_forge.verify.registered_kernels import prove_registered_kernels


def cubin(architecture: str, container: int, *kernels: str) -> GpuCode:
    return GpuCode(CodeKind.ELF, architecture, container, 8, 64, kernels=kernels)


def ptx(architecture: str, container: int) -> GpuCode:
    return GpuCode(CodeKind.PTX, architecture, container, 8, 64)


BOTH = frozenset({"_Z3addv", "_Z3mulv"})


@pytest.mark.parametrize(
    ("codes", "wanted"),
    [
        ([cubin("89", 0, "_Z3addv", "_Z3mulv")], ["8.9"]),
        ([cubin("89", 0, "_Z3addv"), cubin("90a", 1, "_Z3mulv")], ["8.9", "9.0"]),
        ([cubin("90", 0, "_Z3addv", "_Z3mulv"), ptx("90", 0)], ["12.0"]),
    ],
)
def test_every_kernel_has_code(codes: list[GpuCode], wanted: list[str]) -> None:
    check = prove_registered_kernels("_C", codes, BOTH, wanted)
    assert (check.status, check.detail[:21]) == (CheckStatus.PASSED, "all 2 kernels that it")


def test_a_kernel_without_code_is_named_with_what_there_is() -> None:
    codes = [cubin("89", 0, "_Z3addv"), cubin("87", 1, "_Z3mulv")]
    check = prove_registered_kernels("_C", codes, BOTH | {"_Z4lostv"}, ["8.9"])
    assert check.status is CheckStatus.FAILED
    assert check.detail == "2 of 3 kernels have no code for any planned GPU"
    assert check.evidence == ("_Z3mulv: for another GPU only", "_Z4lostv: in no cubin")


def test_what_cannot_be_read_is_not_called_missing() -> None:
    zstd = GpuCode(CodeKind.ELF, "89", 0, 8, 64, compression="zstd")
    assert prove_registered_kernels("_C", [zstd], BOTH, ["8.9"]).status is CheckStatus.SKIPPED
    assert prove_registered_kernels("_C", [], None, ["8.9"]).status is CheckStatus.SKIPPED
