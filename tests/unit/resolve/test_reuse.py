"""Which targets are taken out of the release's wheel: vLLM 0.10.1's own, on a recorded machine."""

from dataclasses import replace

import pytest

from tests.support.published import L40S, REACHING, WHEEL, given
from vllm_forge.records.machine import Driver, Tools
from vllm_forge.records.plan import PlannedTarget
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.release import FetchedProject
from vllm_forge.records.resolution import CudaPart, PlannedProjects, PrecompiledPart, Resolution
from vllm_forge.records.reuse import ReleaseWheel, WheelMember
from vllm_forge.records.sourced import Sourced
from vllm_forge.records.wishes import Device, Strategy
from vllm_forge.resolve.resolution import resolve
from vllm_forge.resolve.reuse import Asked, find_members

COMPILED = ("cumem_allocator", "_C", "_moe_C")
FA2 = "vllm/vllm_flash_attn/_vllm_fa2_C.abi3.so"


def origins(resolution: Resolution) -> dict[str, str]:
    return {one.name: one.origin for one in resolution.targets if one.origin is not None}


def target(resolution: Resolution, name: str) -> PlannedTarget:
    return next(one for one in resolution.targets if one.name == name)


def strategy(resolution: Resolution) -> object:
    return next(one.value for one in resolution.chosen if one.subject == "strategy")


def facts_against(resolution: Resolution, subject: str) -> list[str]:
    refused = next(one for one in resolution.refused if one.subject == subject)
    return [reason.fact for reason in refused.because]


def why(resolution: Resolution, name: str) -> str:
    return "\n".join(reason.fact for reason in target(resolution, name).why_origin)


class TestUnwished:
    def test_only_what_cannot_be_compiled_is_taken(self) -> None:
        made = resolve(given())
        assert made.refused == ()
        assert strategy(made) == "hybrid"
        assert origins(made) == {**dict.fromkeys(COMPILED, "compile"), "_vllm_fa2_C": "reuse"}
        assert "vllm-flash-attn cannot be had here" in why(made, "_vllm_fa2_C")
        assert made.build is not None
        assert isinstance(made.build.part, CudaPart)
        assert made.build.part.reused is not None
        (members,) = made.build.part.reused.members.values()
        assert members[0].name == FA2
        assert {member.name for member in members[1:]} == {
            f"vllm/vllm_flash_attn/{file}"
            for file in (
                "__init__.py",
                "flash_attn_interface.py",
                "layers/__init__.py",
                "layers/rotary.py",
                "ops/triton/__init__.py",
                "ops/triton/rotary.py",
            )
        }

    def test_the_projects_are_those_of_a_build_without_it(self) -> None:
        def planned(resolution: Resolution) -> PlannedProjects:
            value = next(one.value for one in resolution.chosen if one.subject == "projects")
            assert isinstance(value, PlannedProjects)
            return value

        alone = resolve(given(targets=COMPILED))
        assert planned(resolve(given())) == planned(alone)
        assert strategy(alone) == "full"

    def test_what_can_be_fetched_is_compiled_and_the_index_not_asked(self) -> None:
        def published(version: str) -> Sourced[ReleaseWheel]:
            raise AssertionError(version)

        made = resolve(replace(given(machine=REACHING), published=published))
        assert strategy(made) == "full"
        assert set(origins(made).values()) == {"compile"}

    def test_where_it_does_not_fit_the_refusal_says_both(self) -> None:
        made = resolve(given(edits={"_vllm_fa2_C": ("CMakeLists.txt",)}))
        facts = facts_against(made, "projects")
        assert facts[0].startswith("vllm-flash-attn at 57b4e68b9f9d is needed")
        assert facts[1] == "_vllm_fa2_C: CMakeLists.txt differs from vLLM 0.10.1"

    def test_no_wheel_is_said_too(self) -> None:
        made = resolve(given(wheel=None))
        refused = next(one for one in made.refused if one.subject == "projects")
        assert refused.because[1].source == "the index has no wheel of vLLM 0.10.1"
        assert not any("--reuse" in way for way in refused.ways_out)


class TestHybrid:
    def test_all_that_fits_is_taken(self) -> None:
        made = resolve(given(strategy=Strategy.HYBRID))
        assert strategy(made) == "hybrid"
        assert set(origins(made).values()) == {"reuse"}

    def test_an_edited_target_is_compiled_and_says_the_file(self) -> None:
        edits = {"_moe_C": ("csrc/moe/topk_softmax_kernels.cu",)}
        made = resolve(given(strategy=Strategy.HYBRID, edits=edits))
        assert origins(made) == {
            "cumem_allocator": "reuse",
            "_C": "reuse",
            "_moe_C": "compile",
            "_vllm_fa2_C": "reuse",
        }
        assert why(made, "_moe_C") == "csrc/moe/topk_softmax_kernels.cu differs from vLLM 0.10.1"

    def test_another_torch_compiles_everything(self) -> None:
        made = resolve(given(strategy=Strategy.HYBRID, machine=REACHING, torch="2.7.0"))
        assert set(origins(made).values()) == {"compile"}
        assert "the wheel is built against torch==2.7.1, not 2.7.0" in why(made, "_C")

    def test_a_folder_of_the_users_is_compiled(self) -> None:
        made = resolve(given(strategy=Strategy.HYBRID, project=("vllm-flash-attn=/src/fa",)))
        assert origins(made)["_vllm_fa2_C"] == "compile"
        assert "vllm-flash-attn is a folder of yours" in why(made, "_vllm_fa2_C")
        assert origins(made)["_C"] == "reuse"

    def test_another_processor_or_an_older_glibc_does_not_fit(self) -> None:
        newer = replace(WHEEL, filename="vllm-0.10.1-cp38-abi3-manylinux_2_39_x86_64.whl")
        made = resolve(given(strategy=Strategy.HYBRID, wheel=newer))
        assert f"this machine has glibc {L40S.glibc} on x86_64" in why(made, "_C")
        arm = replace(WHEEL, filename="vllm-0.10.1-cp38-abi3-manylinux1_aarch64.whl")
        assert "on x86_64" in why(resolve(given(strategy=Strategy.HYBRID, wheel=arm)), "_C")


class TestReuse:
    def test_exactly_the_named_are_taken(self) -> None:
        made = resolve(given(reuse=("_moe_C,_vllm_fa2_C",), machine=REACHING))
        assert [name for name, origin in origins(made).items() if origin == "reuse"] == [
            "_moe_C",
            "_vllm_fa2_C",
        ]
        assert strategy(made) == "hybrid"
        assert "--reuse _moe_C,_vllm_fa2_C" in why(made, "_moe_C")

    def test_a_named_one_that_does_not_fit_is_refused(self) -> None:
        made = resolve(given(reuse=("_vllm_fa2_C",), edits={"_vllm_fa2_C": ("cmake/utils.cmake",)}))
        assert facts_against(made, "strategy") == [
            "--reuse _vllm_fa2_C",
            "_vllm_fa2_C: cmake/utils.cmake differs from vLLM 0.10.1",
        ]

    def test_a_wheel_without_it_is_named_with_the_member(self) -> None:
        without = tuple(one for one in WHEEL.members if one.name != FA2)
        made = resolve(given(reuse=("_vllm_fa2_C",), wheel=replace(WHEEL, members=without)))
        assert (
            f"_vllm_fa2_C: {WHEEL.filename} has no vllm/vllm_flash_attn/_vllm_fa2_C.*.so"
            in facts_against(made, "strategy")
        )

    @pytest.mark.parametrize(
        ("wish", "message"),
        [
            ({"reuse": ("_nothing_C",)}, "--reuse _nothing_C: no such target here"),
            ({"reuse": ("_vllm_fa3_C",)}, "--reuse _vllm_fa3_C: it is not built here"),
            (
                {"reuse": ("_C",), "strategy": Strategy.FULL},
                "--reuse _C and --strategy full contradict each other",
            ),
        ],
    )
    def test_a_wish_that_cannot_be_meant(self, wish: dict[str, object], message: str) -> None:
        with pytest.raises(Problem) as caught:
            resolve(given(**wish))  # type: ignore[arg-type]
        assert (caught.value.message, caught.value.exit_code) == (message, ExitCode.USAGE)


class TestPrecompiled:
    def test_nothing_is_compiled_and_nothing_that_compiles_is_needed(self) -> None:
        bare = replace(L40S, toolkits=(), compilers=(), tools=Tools())
        made = resolve(given(strategy=Strategy.PRECOMPILED, machine=bare, cuda=None))
        assert made.refused == ()
        assert strategy(made) == "precompiled"
        assert origins(made) == dict.fromkeys((*COMPILED, "_vllm_fa2_C"), "reuse")
        assert made.build is not None
        assert isinstance(made.build.part, PrecompiledPart)
        assert (made.build.compiler, made.build.jobs) == (None, None)

    def test_what_these_gpus_never_run_is_left_in_the_wheel(self) -> None:
        made = resolve(given(strategy=Strategy.PRECOMPILED))
        assert "dispatched on compute capability 9.x only" in target(made, "_vllm_fa3_C").because
        hopper = resolve(given(strategy=Strategy.PRECOMPILED, gpu_arch="9.0"))
        assert origins(hopper)["_vllm_fa3_C"] == origins(hopper)["_flashmla_C"] == "reuse"

    def test_a_wished_toolkit_is_answered(self) -> None:
        made = resolve(given(strategy=Strategy.PRECOMPILED, cuda="12.4"))
        (said,) = [one.warnings for one in made.chosen if one.subject == "toolkit"]
        assert said == ("--cuda 12.4: nothing is compiled; the wheel is made with CUDA 12.8",)

    def test_each_that_does_not_fit_is_named_with_ways_that_lead_on(self) -> None:
        made = resolve(given(strategy=Strategy.PRECOMPILED, edits={"_C": ("csrc/ops.h",)}))
        assert facts_against(made, "strategy") == [
            "--strategy precompiled",
            "_C: csrc/ops.h differs from vLLM 0.10.1",
        ]
        refused = next(one for one in made.refused if one.subject == "strategy")
        assert "--strategy hybrid" in refused.ways_out
        assert "--strategy full" not in refused.ways_out  # vllm-flash-attn cannot be had

    def test_one_fact_against_all_is_said_once(self) -> None:
        made = resolve(given(strategy=Strategy.PRECOMPILED, torch="2.6.0", cuda=None))
        (said,) = facts_against(made, "strategy")[1:]
        assert said == (
            f"{', '.join((*COMPILED, '_vllm_fa2_C'))}: "
            "the wheel is built against torch==2.7.1, not 2.6.0"
        )
        refused = next(one for one in made.refused if one.subject == "strategy")
        assert "--torch 2.7.1" in refused.ways_out

    def test_a_driver_below_the_floor_is_refused(self) -> None:
        old = replace(L40S, driver=Driver("470.82.01"))
        made = resolve(given(strategy=Strategy.PRECOMPILED, machine=old))
        assert "driver 470.82.01 runs no CUDA 12.8 program" in facts_against(made, "driver")[0]

    @pytest.mark.parametrize("wish", [{"strategy": Strategy.PRECOMPILED}, {"reuse": ("_C",)}])
    def test_for_a_cpu_there_is_nothing_to_take(self, wish: dict[str, object]) -> None:
        made = resolve(given(**wish, device=Device.CPU, cuda=None))  # type: ignore[arg-type]
        assert "no release publishes extensions for a CPU" in facts_against(made, "strategy")


class TestMembers:
    """Forms of later wheels (0.33), with names of theirs."""

    LATER = replace(
        WHEEL,
        members=tuple(
            WheelMember(f"vllm/{name}", "0" * 64, 1, place, 1, 1, 0)
            for place, name in enumerate(
                (
                    "_flashmla_C.abi3.so",
                    "third_party/deep_gemm/__init__.py",
                    "third_party/deep_gemm/_C_extension.abi3.so",
                    "third_party/flashmla/interface.py",
                    "third_party/triton_kernels/swiglu.py",
                    "third_party/pynvml.py",
                    "vllm_flash_attn/_vllm_fa2_C.abi3.so",
                    "vllm_flash_attn/_vllm_fa3_C.abi3.so",
                    "vllm_flash_attn/cute/mask.py",
                )
            )
        ),
    )

    @pytest.mark.parametrize(
        ("name", "project", "members"),
        [
            (
                "_flashmla_C",
                "flashmla",
                ["_flashmla_C.abi3.so", "third_party/flashmla/interface.py"],
            ),
            (
                "_deep_gemm_C",
                "deepgemm",
                ["third_party/deep_gemm/_C_extension.abi3.so", "third_party/deep_gemm/__init__.py"],
            ),
            ("triton_kernels", "triton_kernels", ["third_party/triton_kernels/swiglu.py"]),
            (
                "_vllm_fa3_C",
                "vllm-flash-attn",
                ["vllm_flash_attn/_vllm_fa3_C.abi3.so", "vllm_flash_attn/cute/mask.py"],
            ),
            ("_qutlass_C", "qutlass", []),
        ],
    )
    def test_what_stands_for_a_target(self, name: str, project: str, members: list[str]) -> None:
        reads = FetchedProject(project, "https://host/x", "v1", None, None, ("cuda",), "x.cmake:1")
        found = find_members(Asked(name, None, (reads,)), self.LATER)
        assert [one.name.removeprefix("vllm/") for one in found] == members


def test_full_leads_out_by_naming_what_to_take() -> None:
    made = resolve(given(strategy=Strategy.FULL))
    refused = next(one for one in made.refused if one.subject == "projects")
    assert "--strategy auto --reuse _vllm_fa2_C (out of the release's wheel)" in refused.ways_out


class TestOffline:
    def test_what_was_not_fetched_before_does_not_fit(self) -> None:
        cutlass = frozenset({"cutlass-4.0.0"})
        made = resolve(replace(given(offline=True), kept=cutlass))
        assert f"_vllm_fa2_C: {FA2} was not fetched before, and --offline was given" in (
            facts_against(made, "projects")
        )

    def test_what_was_fetched_before_does(self) -> None:
        kept = frozenset(member.name for member in WHEEL.members if "flash_attn" in member.name)
        made = resolve(
            replace(
                given(offline=True, wheel=replace(WHEEL, kept=kept)),
                kept=frozenset({"cutlass-4.0.0"}),
            )
        )
        assert made.refused == ()
        assert origins(made)["_vllm_fa2_C"] == "reuse"
