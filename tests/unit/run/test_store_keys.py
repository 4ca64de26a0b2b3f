"""What the store's parsers and pure choices say."""

from pathlib import Path

import pytest

from vllm_forge.records.plan import LEAVING_OUT, Specialize
from vllm_forge.records.problem import Problem
from vllm_forge.records.specialization import LeftOut, MadeFor, Specialization
from vllm_forge.records.store import Entry
from vllm_forge.resolve.size import parse_age
from vllm_forge.run.specialize import write_specialization
from vllm_forge.run.store.digests import Digests
from vllm_forge.run.store.graph import parse_configured_from
from vllm_forge.run.store.identity import identify_left_out, select_variables
from vllm_forge.run.store.keys import plain_definitions
from vllm_forge.run.store.roots import Roots
from vllm_forge.run.store.run_path import with_room, without_folders
from vllm_forge.run.store.store import is_sane
from vllm_forge.run.store.upkeep import Held, Limits, choose_kept

DAY = 86400.0
NOW = 1000 * DAY


def test_nothing_is_configured_from_nothing() -> None:
    assert parse_configured_from("build a: CXX b\n") == ()


def test_the_inner_root_has_the_file(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    roots = Roots({"environment": tmp_path / "link", "torch": tmp_path / "link" / "torch"})
    assert roots.split(f"{tmp_path}/link/torch/a.h") == ("torch", "a.h")
    assert roots.split(f"{tmp_path}/real/b.h") == ("environment", "b.h")
    assert roots.join("torch", "a.h") == f"{tmp_path}/link/torch/a.h"
    assert roots.placed("{torch}/lib:{environment}") == (
        f"{tmp_path}/link/torch/lib:{tmp_path}/link"
    )


def test_definitions_of_two_homes_are_one() -> None:
    def of(home: str) -> dict[str, str]:
        return plain_definitions(
            {
                "CMAKE_MODULE_LINKER_FLAGS": f"-Wl,-rpath,{with_room(f'{home}/system/lib')}",
                "CMAKE_CXX_COMPILER_LAUNCHER": f"{home}/launcher",
                "NVCC_THREADS": "4",
            },
            Roots({"system": f"{home}/system"}),
        )

    assert (
        of("/a")
        == of("/a/much/longer/home")
        == {"CMAKE_MODULE_LINKER_FLAGS": "-Wl,-rpath,{system}/lib"}
    )


def test_the_build_folders_run_path_is_dropped() -> None:
    linked = f"{with_room('/home/system/lib')}:/env/torch/lib:"
    assert without_folders(linked, ("/env",)) == "/home/system/lib"


def test_variables_that_cmake_files_name_count(tmp_path: Path) -> None:
    file = tmp_path / "a.cmake"
    file.write_text("if(DEFINED ENV{ACL_ROOT})\nset(A $ENV{VLLM_SWITCH})\n")
    environ = {"ACL_ROOT": "1", "VLLM_SWITCH": "2", "VLLM_LOGGING": "3", "CPATH": "4", "HOME": "5"}
    assert select_variables(environ, [file, tmp_path / "none.cmake"]) == {
        "ACL_ROOT": "1",
        "VLLM_SWITCH": "2",
        "CPATH": "4",
    }


def test_digests_look_again_when_told_to(tmp_path: Path) -> None:
    digests = Digests(tmp_path / "memory.json")
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_text("a")
    large.write_bytes(b"x" * (1 << 20))
    before = (digests.of(small), digests.of(large))
    digests.keep()
    small.write_text("b")
    assert (digests.of(small), digests.of(large)) == before
    digests.forget()
    assert digests.of(small) != before[0]
    large.write_bytes(b"y" * (1 << 20))
    assert Digests(tmp_path / "memory.json").of(large) != before[1]
    assert digests.of(tmp_path / "none") is None


def held(key: str, days: float, blob: str, size: int) -> Held:
    return Held(key, Entry("_C", "_C.so", blob, size, "", 1.0, 0.0), NOW - days * DAY)


@pytest.mark.parametrize(
    ("limits", "goes"),
    [
        (Limits(), []),
        (Limits(oldest_seconds=5 * DAY), ["old"]),
        (Limits(most_bytes=30), ["old"]),
        (Limits(most_bytes=29), ["young", "twin", "old"]),
        (Limits(most_bytes=5), ["ahead", "young", "twin", "old"]),
    ],
)
def test_what_goes(limits: Limits, goes: list[str]) -> None:
    """`twin` is a second key of the blob that `young` has: it takes no room of its own."""
    entries = [
        held("ahead", -400, "a", 10),
        held("young", 1, "b", 20),
        held("twin", 2, "b", 20),
        held("old", 30, "c", 10),
    ]
    kept, dropped = choose_kept(entries, limits, NOW)
    assert [one.key for one in dropped] == goes
    assert len(kept) + len(dropped) == len(entries)


@pytest.mark.parametrize("text", ["3x", "", "d", "-1d"])
def test_no_age(text: str) -> None:
    with pytest.raises(Problem):
        parse_age(text)


@pytest.mark.parametrize(
    ("file", "blob"),
    [("../_C.so", "a" * 64), ("_C.so", "../" * 8), ("other.so", "a" * 64), ("_C.py", "a" * 64)],
)
def test_another_s_store_chooses_no_path(file: str, blob: str) -> None:
    assert not is_sane(Entry("_C", file, blob, 1, "", 1.0, 0.0))
    assert is_sane(Entry("_C", "_C.abi3.so", "a" * 64, 1, "", 1.0, 0.0))


def specialized(folder: Path, *left_out: str) -> dict[str, str]:
    """CMake's definitions for a build that does without these files."""
    groups = (LeftOut("_C", left_out, "nothing calls it", "a.py:1"),)
    made_for = MadeFor(("LlamaForCausalLM",), "modelopt", ("FP8",), ("9.0",))
    [file, *_] = write_specialization(Specialize(str(folder), Specialization(made_for, groups, ())))
    return {LEAVING_OUT: str(file)}


def test_what_is_left_out_is_part_of_the_key_and_its_folder_is_not(tmp_path: Path) -> None:
    digests = Digests()
    first = identify_left_out(specialized(tmp_path / "a", "csrc/awq.cu"), digests)
    again = identify_left_out(specialized(tmp_path / "b", "csrc/awq.cu"), digests)
    other = identify_left_out(specialized(tmp_path / "c", "csrc/gptq.cu"), digests)
    assert first == again
    assert first != other
    assert identify_left_out({}, digests) == ()
