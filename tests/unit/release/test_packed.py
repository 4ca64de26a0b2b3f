"""Packing loses nothing, and several architectures are the union of each."""

from pathlib import Path

import pytest

from vllm_forge.records.release import Configured, ConfiguredTarget
from vllm_forge.records.sourced import Sourced
from vllm_forge.release import Question, SourceTree, configure
from vllm_forge.release.packed import nvcc_class, pack, unpack

ARCHITECTURES = ("8.0", "9.0", "10.0")


@pytest.mark.parametrize("name", ["early", "late"])
def test_every_single_configuration_comes_back(name: str, request: pytest.FixtureRequest) -> None:
    tree = SourceTree(request.getfixturevalue(name))
    cuda = {
        nvcc: {
            arch: configure(tree, Question(nvcc=nvcc, architectures=(arch,)))
            for arch in ARCHITECTURES
        }
        for nvcc in ("12.0", "12.8")
    }
    cpu = {"avx2": configure(tree, Question(device="cpu"))}
    packed = pack(cuda, cpu)
    assert {n: {a: unpack(packed, "cuda", n, (a,)) for a in row} for n, row in cuda.items()} == cuda
    assert unpack(packed, "cpu", None, ("avx2",)) == cpu["avx2"]


@pytest.mark.parametrize("name", ["early", "late"])
@pytest.mark.parametrize("archs", [("8.0", "9.0"), ("9.0", "10.0"), ("8.0", "9.0", "10.0")])
def test_the_union_is_what_cmake_would_have_decided(
    name: str, archs: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    """10.0 alone ends configure with nvcc 12.4; together with 9.0 it is dropped without a word."""
    tree = SourceTree(request.getfixturevalue(name))
    row = {a: configure(tree, Question(nvcc="12.4", architectures=(a,))) for a in archs}
    whole = configure(tree, Question(nvcc="12.4", architectures=archs))
    union = unpack(pack({"12.4": row}, {}), "cuda", "12.4", archs)
    assert union.architectures == whole.architectures
    assert union.stopped == whole.stopped
    assert {t.name: set(t.sources) for t in union.targets} == {
        t.name: set(t.sources) for t in whole.targets
    }


def test_runs_of_files_are_short(early: Path) -> None:
    configured = configure(SourceTree(early), Question(nvcc="12.4", architectures=("9.0",)))
    packed = pack({"12.4": {"9.0": configured}}, {})
    assert next(t for t in packed.targets if t.name == "_C").runs == (0, 3)


def test_runs_with_gaps_come_back_in_order() -> None:
    def configured(*sources: str) -> Configured:
        target = ConfiguredTarget("_C", sources, (), "CMakeLists.txt:1", asked=True)
        nothing: Sourced[str] = Sourced(None, "")
        return Configured("cuda", "12.4", (), Sourced(("8.0",), ""), (), nothing, (), (), (target,))

    first, second = configured("a", "b", "c", "d"), configured("d", "b", "c")
    packed = pack({"12.4": {"8.0": first, "9.0": second}}, {})
    assert unpack(packed, "cuda", "12.4", ("9.0",)).targets[0].sources == ("d", "b", "c")


@pytest.mark.parametrize(
    ("nvcc", "expected"),
    [("12.4.131", "12.3"), ("12.3", "12.3"), ("13.4", "13.0"), ("12.10", "12.8"), ("11.8", "11.0")],
)
def test_an_nvcc_stands_in_its_class(nvcc: str, expected: str) -> None:
    assert nvcc_class(("11.0", "12.3", "12.8", "13.0"), nvcc) == expected


def test_what_is_not_listed_is_a_key_error(late: Path) -> None:
    packed = pack(
        {"12.8": {"9.0": configure(SourceTree(late), Question(nvcc="12.8"))}},
        {},
    )
    for nvcc, arch in (("12.8", "8.8"), ("12.4", "9.0")):
        with pytest.raises(KeyError):
            unpack(packed, "cuda", nvcc, (arch,))
