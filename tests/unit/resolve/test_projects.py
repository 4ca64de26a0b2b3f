"""Where each fetched project's sources come from, for real releases on recorded machines."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.given import given_on
from vllm_forge.plan.assemble import Origin, Setting, assemble
from vllm_forge.probe.cuda_tables import read_recorded_machines
from vllm_forge.records.decision import Chosen, Refused
from vllm_forge.records.home import Home
from vllm_forge.records.machine import Reachable, Toolkit
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.resolution import CudaPart, PlannedProjects, Resolution
from vllm_forge.records.toolkit import OfferedToolkit
from vllm_forge.records.wishes import Device
from vllm_forge.resolve.cuda import missing_toolkits
from vllm_forge.resolve.given import Given
from vllm_forge.resolve.resolution import resolve_once

L40S = read_recorded_machines()["l40s-cuda-12.4"]
OURS = ("_C", "_moe_C", "cumem_allocator")
OFFER = OfferedToolkit(Toolkit("12.4", "home/cuda", "12.4.131"), "debian", "packages", 1 << 30)


def given(*, host: bool | None = True, toolkits: bool = True, **wishes: object) -> Given:
    machine = replace(L40S, reachable=Reachable(code_host=host))
    if not toolkits:
        machine = replace(machine, toolkits=())
    return given_on(machine, **{"cuda": "12.4", **wishes})


def projects_of(resolution: Resolution) -> dict[str, str]:
    chosen = next(one for one in resolution.chosen if one.subject == "projects")
    assert isinstance(chosen.value, PlannedProjects)
    return {one.project.name: one.origin for one in chosen.value.planned}


def steps_of(facts: Given) -> dict[str, str]:
    """Step → fingerprint."""
    setting = Setting(Home(Path("/home/forge")), None, "x86_64")
    plan = assemble(resolve_once(facts), facts.facts.release, Origin("sdist"), setting)
    return {step.name: step.fingerprint for step in plan.steps}


def refusal(resolution: Resolution, subject: str) -> Refused:
    return next(one for one in resolution.refused if one.subject == subject)


def test_what_no_target_reads_is_stubbed_and_cutlass_comes_from_the_index() -> None:
    assert projects_of(resolve_once(given(targets=OURS))) == {
        "cutlass": "index",
        "flashmla": "stub",
        "vllm-flash-attn": "stub",
    }


def test_a_code_host_gives_what_the_index_has_not() -> None:
    assert projects_of(resolve_once(given()))["vllm-flash-attn"] == "git"


def test_without_one_the_project_is_refused_with_its_line() -> None:
    refused = refusal(resolve_once(given(host=False)), "projects")
    assert "vllm-flash-attn at 57b4e68b9f9d" in refused.because[0].fact
    assert refused.because[0].source.startswith("cmake/external_projects/vllm_flash_attn.cmake:")
    assert refused.ways_out[0].startswith("--project vllm-flash-attn=DIR")


@pytest.mark.parametrize(
    ("change", "origin"),
    [
        ({"project": ("vllm-flash-attn=/src/fa",)}, "folder"),
        ({"project": ("VLLM-Flash-Attn=/src/fa",)}, "folder"),
        ({"git_mirror": "https://mirror.corp/"}, "git"),
    ],
)
def test_the_ways_out_lead_on(change: dict[str, Any], origin: str) -> None:
    assert projects_of(resolve_once(given(host=False, **change)))["vllm-flash-attn"] == origin


def test_what_was_fetched_before_needs_no_host() -> None:
    offline = given(host=None, offline=True)
    assert "--offline was given" in refusal(resolve_once(offline), "projects").because[0].fact
    kept = replace(offline, kept=frozenset({"vllm-flash-attn-57b4e68b9f9d", "cutlass-4.0.0"}))
    assert projects_of(resolve_once(kept))["vllm-flash-attn"] == "git"


def test_the_trees_own_variable_names_a_folder() -> None:
    with_variable = replace(given(), variables={"VLLM_CUTLASS_SRC_DIR": "/src/cutlass"})
    assert projects_of(resolve_once(with_variable))["cutlass"] == "variable"


def test_host_code_alone_needs_no_cutlass() -> None:
    alone = given(
        vllm="0.33.0", cuda=None, device=Device.CUDA, host=False, targets=("cumem_allocator",)
    )
    newer = (Toolkit("13.0", "/usr/local/cuda-13.0", "13.0.88"),)
    machine = replace(alone.machine, toolkits=newer, driver=None)
    assert set(projects_of(resolve_once(replace(alone, machine=machine))).values()) == {"stub"}


@pytest.mark.parametrize(
    ("gpu_arch", "origin"), [("8.9", "stub"), ("9.0", "index"), ("12.0", "stub")]
)
def test_a_generator_that_reads_cutlass_while_configuring_gets_it(
    gpu_arch: str, origin: str
) -> None:
    """Machete's, for 9.0: a real configure of 0.25.1 with a stub ends at CMakeLists.txt:497."""
    alone = given(
        vllm="0.25.1",
        cuda=None,
        device=Device.CUDA,
        host=False,
        gpu_arch=gpu_arch,
        targets=("cumem_allocator",),
    )
    newer = (Toolkit("13.0", "/usr/local/cuda-13.0", "13.0.88"),)
    machine = replace(alone.machine, toolkits=newer, driver=None)
    assert projects_of(resolve_once(replace(alone, machine=machine)))["cutlass"] == origin


@pytest.mark.parametrize("wish", ["cutlass", "cutlass=", "=x", "nothing=/x"])
def test_a_folder_named_otherwise_is_a_usage_error(wish: str) -> None:
    with pytest.raises(Problem) as caught:
        resolve_once(given(project=(wish,)))
    assert caught.value.exit_code is ExitCode.USAGE
    assert wish.partition("=")[0] in caught.value.message


class TestTargets:
    def test_only_the_wished_are_built(self) -> None:
        targets = resolve_once(given(targets=("_C,cumem_allocator",))).targets
        assert [one.name for one in targets if one.build] == ["cumem_allocator", "_C"]
        left = next(one for one in targets if one.name == "_moe_C")
        assert left.because == "--targets _C,cumem_allocator"

    def test_one_that_no_gpu_runs_is_built_when_wished(self) -> None:
        targets = resolve_once(given(targets=("_vllm_fa3_C",))).targets
        assert [one.name for one in targets if one.build] == ["_vllm_fa3_C"]

    def test_one_that_there_is_not(self) -> None:
        with pytest.raises(Problem) as caught:
            resolve_once(given(targets=("_C", "_D")))
        assert caught.value.exit_code is ExitCode.USAGE
        assert "_D" in caught.value.message
        assert "_moe_C" in caught.value.hints[0]


class TestOffers:
    def test_nothing_is_asked_for_where_a_toolkit_fits(self) -> None:
        assert missing_toolkits(given()) == ()

    @pytest.mark.parametrize(
        ("wishes", "asked"),
        [
            ({}, (("12.4",),)),
            ({"cuda": None}, (("12.6", "12"),)),
            ({"cuda": None, "vllm": "0.33.0"}, (("13.0", "13"),)),
            ({"device": Device.CPU}, ()),
        ],
    )
    def test_what_is_asked_for(self, wishes: dict[str, Any], asked: object) -> None:
        assert missing_toolkits(given(toolkits=False, **wishes)) == asked

    def test_an_offer_is_taken_where_nothing_fits(self) -> None:
        bare = given(toolkits=False, targets=OURS)
        assert "no CUDA toolkit here" in str(refusal(resolve_once(bare), "toolkit").because)
        made = resolve_once(replace(bare, offers=(OFFER,)))
        assert made.build is not None
        assert isinstance(made.build.part, CudaPart)
        assert made.build.part.offer == OFFER
        said = made.build.part.toolkit.because
        assert any("1024 MiB to fetch, no root" in reason.fact for reason in said)

    def test_the_next_build_is_the_same_when_the_toolkit_is_made(self) -> None:
        bare = given(toolkits=False, targets=OURS)
        there = replace(bare, machine=replace(bare.machine, toolkits=(OFFER.toolkit,)))
        making, made = steps_of(replace(bare, offers=(OFFER,))), steps_of(there)
        assert making.pop("toolkit")
        assert making == made

    def test_a_toolkit_that_is_here_comes_first(self) -> None:
        made = resolve_once(replace(given(targets=OURS), offers=(OFFER,)))
        assert made.build is not None
        assert isinstance(made.build.part, CudaPart)
        assert made.build.part.offer is None
        assert isinstance(made.build.part.toolkit, Chosen)
        assert made.build.part.toolkit.value in (L40S.toolkits or ())
