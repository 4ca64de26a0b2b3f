from dataclasses import replace
from pathlib import Path

from vllm_forge.records.binary import Extension, UndefinedSymbol
from vllm_forge.records.check import CheckStatus
from vllm_forge.verify.elf_libraries import (
    find_torch_libraries,
    parse_ldconfig,
    prove_needed,
    prove_versions,
)

EXTENSION = Extension(
    path="/env/vllm/_C.abi3.so",
    machine="x86_64",
    needed=("libc10.so", "libcudart.so.12", "libcuda.so.1", "libc.so.6"),
    rpath=(),
    runpath=(),
    undefined=(),
    module="_C",
    abi3=True,
    floors={},
)
SYSTEM = {"libc.so.6": Path("/lib/libc.so.6")}
C10 = Path("/env/torch/lib/libc10.so")


def test_ldconfig_of_debian() -> None:
    text = (
        "1234 libs found in cache `/etc/ld.so.cache'\n"
        "\tlibc.so.6 (libc6,x86-64, OS ABI: Linux 3.2.0) => /lib/x86_64-linux-gnu/libc.so.6\n"
        "\tlibnuma.so.1 (libc6,x86-64) => /first/libnuma.so.1\n"
        "\tlibnuma.so.1 (libc6,x86-64) => /second/libnuma.so.1\n"
        "\tlibnuma.so.1 (libc6) => /lib32/libnuma.so.1\n"
        "\tlibm.so.6 (libc6,AArch64) => /lib/aarch64-linux-gnu/libm.so.6\n"
    )
    assert parse_ldconfig(text, "x86_64") == {
        "libc.so.6": Path("/lib/x86_64-linux-gnu/libc.so.6"),
        "libnuma.so.1": Path("/first/libnuma.so.1"),
    }
    assert list(parse_ldconfig(text, "aarch64")) == ["libm.so.6"]


def test_a_library_of_another_version_is_named() -> None:
    check = prove_needed(EXTENSION, [C10, Path("/env/nvidia/lib/libcudart.so.13")], SYSTEM)
    assert check.status is CheckStatus.FAILED
    assert check.detail == "libcudart.so.12 of 4 needed libraries not found"
    assert check.evidence == (
        "libcudart.so.12: there is libcudart.so.13",
        "libcuda.so.1 comes with the GPU driver, and there is none here",
    )


def test_the_driver_may_be_missing() -> None:
    check = prove_needed(EXTENSION, [C10, Path("/env/nvidia/lib/libcudart.so.12")], SYSTEM)
    assert check.status is CheckStatus.PASSED
    assert check.evidence == ("libcuda.so.1 comes with the GPU driver, and there is none here",)


def test_the_run_path_counts_and_its_origin_is_the_extension(tmp_path: Path) -> None:
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / "libc10.so").touch()
    one = replace(EXTENSION, path=str(tmp_path / "vllm" / "_C.so"), needed=("libc10.so",))
    assert prove_needed(one, [], SYSTEM).status is CheckStatus.FAILED
    for spelled in ("$ORIGIN/../libs", "${ORIGIN}/../libs"):
        (tmp_path / "vllm").mkdir(exist_ok=True)
        assert prove_needed(replace(one, runpath=(spelled,)), [], SYSTEM).status is (
            CheckStatus.PASSED
        )


def test_without_ldconfig_nothing_is_claimed() -> None:
    assert prove_needed(EXTENSION, [C10], {}).status is CheckStatus.SKIPPED
    assert prove_versions(EXTENSION, {}).status is CheckStatus.SKIPPED


def test_a_version_the_system_lacks_fails() -> None:
    demo = Path(__file__).parents[2] / "data" / "elf" / "_demo.abi3.so"
    asked = replace(
        EXTENSION,
        undefined=(UndefinedSymbol("pow", "GLIBC_2.29", "libm.so.6"),),
        floors={"GLIBC": "2.29"},
    )
    check = prove_versions(asked, {"libm.so.6": demo})
    assert check.status is CheckStatus.FAILED
    assert check.evidence == (f"libm.so.6: GLIBC_2.29 is not in {demo}",)


def test_torch_and_its_nvidia_packages(tmp_path: Path) -> None:
    for file in (
        "torch/lib/libc10.so",
        "torch/lib/libgomp.so.1",
        "torch/lib/readme.so.txt",
        "nvidia/cublas/lib/libcublas.so.12",
        "nvidia/cu13/lib/libcudart.so.13",
        "numpy/lib/libother.so",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    assert [path.name for path in find_torch_libraries(tmp_path)] == [
        "libc10.so",
        "libgomp.so.1",
        "libcudart.so.13",
        "libcublas.so.12",
    ]
