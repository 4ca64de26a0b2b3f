"""Which projects are stubbed, what a stub holds, and what CUTLASS a configuration reads."""

from collections.abc import Callable
from pathlib import Path

import pytest

from vllm_forge.records.event import Event
from vllm_forge.records.home import Home
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.project import Stub, Ways
from vllm_forge.records.release import Configured, ConfiguredTarget, FetchedProject, KernelGroup
from vllm_forge.records.sourced import Sourced
from vllm_forge.resolve.carried import CARRIED, carried_version, cutlass_parts
from vllm_forge.resolve.stubs import choose_stubs
from vllm_forge.run.doors import Doors
from vllm_forge.run.index import IndexSettings
from vllm_forge.run.network import Network
from vllm_forge.run.process import run_command
from vllm_forge.run.projects.cutlass import headers_digest, is_tag
from vllm_forge.run.projects.git import mirror_options, needed_submodules
from vllm_forge.run.projects.obtain import obtain_project, overrides_of

EXTERNAL = "cmake/external_projects"


def project(
    name: str, place: str, *, revision: str = "v1", override: str | None = None
) -> FetchedProject:
    return FetchedProject(
        name, f"https://host/a/{name}.git", revision, override, None, ("cuda",), place
    )


CUTLASS = project(
    "cutlass", "CMakeLists.txt:370", revision="v4.0.0", override="VLLM_CUTLASS_SRC_DIR"
)
FLASH_MLA = project("flashmla", f"{EXTERNAL}/flashmla.cmake:20", override="FLASH_MLA_SRC_DIR")
FLASH_ATTENTION = project("vllm-flash-attn", f"{EXTERNAL}/vllm_flash_attn.cmake:39")
TRITON = project("triton_kernels", f"{EXTERNAL}/triton_kernels.cmake:10")
PROJECTS = (CUTLASS, FLASH_MLA, FLASH_ATTENTION, TRITON)


def target(name: str, source: str, *files: str, incomplete: str | None = None) -> ConfiguredTarget:
    return ConfiguredTarget(name, files, (), source, asked=True, incomplete=incomplete)


def configured(*groups: KernelGroup) -> Configured:
    return Configured(
        device="cuda",
        nvcc="12.4",
        requested=("9.0",),
        supported=Sourced(None, ""),
        architectures=("9.0",),
        stopped=Sourced(None, ""),
        warnings=(),
        groups=groups,
        targets=(
            target("_C", "CMakeLists.txt:767", "csrc/a.cu"),
            target("_flashmla_C", f"{EXTERNAL}/flashmla.cmake:52", "flashmla-src/csrc/k.cu"),
            target("triton_kernels", f"{EXTERNAL}/triton_kernels.cmake:47"),
            target("_vllm_fa2_C", "setup.py:617", incomplete="its files are listed elsewhere"),
            target("_vllm_fa3_C", "setup.py:621", incomplete="its files are listed elsewhere"),
            target("spinloop", "setup.py:630", incomplete="its files are listed elsewhere"),
        ),
    )


def test_what_no_wanted_target_reads_is_stubbed() -> None:
    stubs = choose_stubs(configured(), PROJECTS, frozenset({"_C", "spinloop"}))

    assert stubs == {
        "flashmla": Stub((), ("csrc/k.cu", "flash_mla/flash_mla_interface.py")),
        "vllm-flash-attn": Stub(("_vllm_fa2_C", "_vllm_fa3_C"), ()),
        "triton_kernels": Stub((), ()),
    }


@pytest.mark.parametrize(
    ("wanted", "real"),
    [
        ("_flashmla_C", "flashmla"),
        ("_vllm_fa2_C", "vllm-flash-attn"),
        ("triton_kernels", "triton_kernels"),
    ],
)
def test_what_a_wanted_target_reads_is_not(wanted: str, real: str) -> None:
    stubs = choose_stubs(configured(), PROJECTS, frozenset({"_C", wanted}))

    assert {each.name for each in PROJECTS} - stubs.keys() == {"cutlass", real}


def test_overrides_are_the_trees_own_else_fetchcontents(doors: Doors) -> None:
    ways = Ways(stubs=dict.fromkeys((each.name for each in PROJECTS), Stub()))
    folders = {each.name: obtain_project(each, ways, doors).folder for each in PROJECTS}

    overrides = overrides_of(folders, PROJECTS)

    assert overrides.variables.keys() == {"VLLM_CUTLASS_SRC_DIR", "FLASH_MLA_SRC_DIR"}
    assert overrides.definitions.keys() == {
        "FETCHCONTENT_SOURCE_DIR_VLLM-FLASH-ATTN",
        "FETCHCONTENT_SOURCE_DIR_TRITON_KERNELS",
    }


def test_a_stub_stops_the_compiler_and_the_import(doors: Doors) -> None:
    stub = Stub(("_vllm_fa2_C",), ("csrc/k.cu", "f/interface.py"))

    made = obtain_project(FLASH_MLA, Ways(stubs={"flashmla": stub}), doors)

    folder = Path(made.folder)
    assert (made.origin, made.exact) == ("stub", False)
    assert (folder / "csrc/k.cu").read_text() == '#error "flashmla was left out of this build"\n'
    with pytest.raises(ImportError, match="left out"):
        exec((folder / "f/interface.py").read_text())  # noqa: S102 -- what an import would do
    assert obtain_project(FLASH_MLA, Ways(stubs={"flashmla": stub}), doors) == made
    other = obtain_project(FLASH_MLA, Ways(stubs={"flashmla": Stub()}), doors)
    assert other.folder != made.folder


def test_a_stubbed_file_outside_the_project_is_refused(doors: Doors) -> None:
    with pytest.raises(Problem, match="outside itself") as caught:
        obtain_project(FLASH_MLA, Ways(stubs={"flashmla": Stub((), ("../evil.cu",))}), doors)
    assert caught.value.exit_code is ExitCode.BAD_INPUT


def test_a_users_folder_comes_first_and_its_difference_is_told(
    doors: Doors, tmp_path: Path
) -> None:
    folder = cutlass_copy(tmp_path / "mine", "4.2.0")

    ways = Ways(folders={"CUTLASS": str(folder)}, stubs={"cutlass": Stub()})
    obtained = obtain_project(CUTLASS, ways, doors)

    assert (obtained.folder, obtained.origin, obtained.exact) == (str(folder), "folder", False)
    assert obtained.difference == f"{folder} is at 4.2.0, v4.0.0 is pinned (CMakeLists.txt:370)"


def test_headers_that_say_the_version_and_are_not_the_tags_are_not_exact(
    doors: Doors, tmp_path: Path
) -> None:
    folder = cutlass_copy(tmp_path / "mine", "4.0.0")

    obtained = obtain_project(CUTLASS, Ways(folders={"cutlass": str(folder)}), doors)

    assert obtained.exact is False
    assert "headers that differ from the tag's" in (obtained.difference or "")
    assert is_tag(folder, "4.0.0") is False
    assert is_tag(folder, "99.0.0") is None


def test_the_digest_sees_content_and_names(tmp_path: Path) -> None:
    folder = cutlass_copy(tmp_path / "a", "4.0.0")
    before = headers_digest(folder)
    (folder / "README").write_text("no header")
    assert headers_digest(folder) == before
    (folder / "include/cutlass/version.h").rename(folder / "include/cutlass/version2.h")
    assert headers_digest(folder) != before


@pytest.mark.parametrize("make", [Path.mkdir, lambda _path: None])
def test_no_folder_and_an_empty_one_are_bad_input(
    doors: Doors, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "mine")
    with pytest.raises(Problem, match=r"mine \(--project, for cutlass\) is") as caught:
        obtain_project(CUTLASS, Ways(folders={"cutlass": str(tmp_path / "mine")}), doors)
    assert caught.value.exit_code is ExitCode.BAD_INPUT


def test_the_override_variable_is_heard(tmp_path: Path) -> None:
    folder = cutlass_copy(tmp_path / "mine", "3.9.2")
    doors = doors_at(tmp_path, {"VLLM_CUTLASS_SRC_DIR": str(folder)})

    obtained = obtain_project(CUTLASS, Ways(), doors)

    assert (obtained.origin, obtained.revision) == ("variable", "3.9.2")


@pytest.mark.parametrize(
    ("group", "parts"),
    [
        (KernelGroup("MACHETE_ARCHS", ("9.0a",), ("9.0a",), ""), {"include", "tools", "python"}),
        (KernelGroup("MACHETE_ARCHS", ("9.0a",), (), ""), {"include", "tools"}),
        (KernelGroup("MLA_ARCHS", ("10.0f",), ("10.0f",), ""), {"include", "tools", "examples"}),
    ],
)
def test_parts_of_cutlass_that_a_configuration_reads(group: KernelGroup, parts: set[str]) -> None:
    assert cutlass_parts(configured(group)) == parts


def test_a_carrier_is_taken_only_for_the_parts_it_has() -> None:
    assert carried_version(CUTLASS, frozenset({"include", "tools", "python"})) == "4.0.0"
    assert carried_version(CUTLASS, frozenset({"include", "examples"})) is None
    assert carried_version(FLASH_MLA, frozenset({"include"})) is None
    assert all(
        {"include", "tools"} <= {p for c in many for p in c.parts} for many in CARRIED.values()
    )


def test_a_mirror_takes_the_place_of_scheme_and_host() -> None:
    assert mirror_options("https://host/a/b.git", None) == ()
    assert mirror_options("https://host/a/b.git", "/srv/mirror") == (
        "-c",
        "url./srv/mirror/.insteadOf=https://host/",
        "-c",
        "protocol.file.allow=always",
    )


def test_submodules_stated_and_not() -> None:
    text = (
        '[submodule "cutlass"]\n\tpath = csrc/cutlass\n\turl = ../c.git\n\tbranch = a%b\n'
        '[submodule "ck"]\n\tpath = csrc/composable_kernel\n\turl = ../ck.git\n'
    )
    assert needed_submodules(text, None) == ("csrc/cutlass",)
    assert needed_submodules(text, ("csrc/composable_kernel",)) == ("csrc/composable_kernel",)
    assert needed_submodules(text, ()) == ()


@pytest.fixture
def doors(tmp_path: Path) -> Doors:
    return doors_at(tmp_path, {})


def doors_at(folder: Path, environ: dict[str, str]) -> Doors:
    events: list[Event] = []
    return Doors(
        home=Home(folder / "home"),
        settings=IndexSettings("file:///nowhere", "a test"),
        network=Network(offline=True),
        run=run_command,
        emit=events.append,
        environ=environ,
        offline=True,
    )


def cutlass_copy(folder: Path, version: str) -> Path:
    header = folder / "include/cutlass/version.h"
    header.parent.mkdir(parents=True)
    names = ("MAJOR", "MINOR", "PATCH")
    lines = [f"#define CUTLASS_{n} {v}\n" for n, v in zip(names, version.split("."), strict=True)]
    header.write_text("".join(lines))
    return folder
