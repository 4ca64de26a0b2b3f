"""What must come out right before anything is compiled, for machines we do not have."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.given import given_on
from vllm_forge.checkpoint.read import read_checkpoint
from vllm_forge.probe.cuda_tables import read_recorded_machines
from vllm_forge.records.checkpoint import Checkpoint
from vllm_forge.records.machine import Compiler, Machine, Python, Toolkit
from vllm_forge.records.resolution import Resolution
from vllm_forge.records.wishes import Device
from vllm_forge.resolve.resolution import resolve
from vllm_forge.run.scheduler.predict import read_table

MACHINES = read_recorded_machines()


def machine(name: str) -> Machine:
    return next(one for key, one in MACHINES.items() if key.startswith(name))


def plan_for(on: Machine, checkpoint: Checkpoint | None = None, **wishes: object) -> Resolution:
    return resolve(replace(given_on(on, **wishes), checkpoint=checkpoint, costs=read_table()))


def chosen(resolution: Resolution) -> dict[str, object]:
    return {one.subject: one.value for one in resolution.chosen}


def facts_said(resolution: Resolution) -> str:
    reasons = [reason for one in resolution.refused for reason in one.because]
    return "\n".join(f"{reason.fact} [{reason.source}]" for reason in reasons)


def ways_out(resolution: Resolution) -> list[str]:
    return [way for one in resolution.refused for way in one.ways_out]


def test_l40s_with_cuda_12_4_is_accepted_with_the_torch_of_the_tree() -> None:
    resolution = plan_for(machine("l40s"), cuda="12.4")
    assert not resolution.refused
    choices = chosen(resolution)
    assert choices["torch"] == "2.7.1"
    assert choices["torch_cuda"] == "12.6"
    assert choices["gpu_arch"] == ("8.9",)
    toolkit = next(one for one in resolution.chosen if one.subject == "toolkit")
    assert toolkit.value.version == "12.4"
    assert any("minor-version compatible" in reason.fact for reason in toolkit.because)


def with_cores(on: Machine, cores: int, gibibytes: int) -> Machine:
    return replace(
        on,
        cpu=replace(on.cpu, cores=cores),
        memory=replace(on.memory, total_bytes=gibibytes << 30, limit_bytes=None),
    )


@pytest.mark.parametrize(
    ("arch", "cores", "jobs", "threads"),
    [
        ("8.9", 128, None, 1),
        ("8.9,9.0", 16, None, 1),
        ("8.9,9.0", 128, None, 2),
        ("8.9,9.0", 128, 1, 1),
    ],
)
def test_nvcc_has_threads_where_all_would_wait_for_the_longest_file(
    arch: str, cores: int, jobs: int | None, threads: int
) -> None:
    on = with_cores(machine("l40s"), cores, 8 * cores)
    resolution = plan_for(on, cuda="12.4", gpu_arch=arch, jobs=jobs)
    assert not resolution.refused
    assert chosen(resolution)["nvcc_threads"] == threads
    now = replace(on, memory=replace(on.memory, available_bytes=9 << 30))
    again = plan_for(now, cuda="12.4", gpu_arch=arch, jobs=jobs)
    assert chosen(again)["nvcc_threads"] == threads, "what is free now changes no command line"


def test_l40s_builds_131_files_and_neither_fa3_nor_flashmla() -> None:
    targets = {one.name: one for one in plan_for(machine("l40s"), cuda="12.4").targets}
    built = {name: target.files for name, target in targets.items() if target.build}
    assert built == {"_C": 50, "_moe_C": 17, "cumem_allocator": 1, "_vllm_fa2_C": 63}
    assert "vllm/attention/utils/fa_utils.py:36" in targets["_vllm_fa3_C"].because
    assert "vllm/attention/ops/flashmla.py:29" in targets["_flashmla_C"].because


def test_the_recipes_own_torch_is_refused_by_name_with_both_files() -> None:
    resolution = plan_for(machine("l40s"), cuda="12.4", torch="2.6.0")
    assert [one.subject for one in resolution.refused] == ["torch"]
    said = facts_said(resolution)
    assert "at::Float8_e8m0fnu" in said
    assert "csrc/quantization/gptq_marlin/gptq_marlin.cu" in said
    assert "csrc/moe/marlin_moe_wna16/ops.cu" in said
    ways = ways_out(resolution)
    assert "--torch 2.7.1" in ways
    older = [way for way in ways if way.startswith("--vllm 0.8.5")]
    assert older
    assert "pins torch 2.6.0" in older[0]
    assert "nvfp4" in older[0]


def test_the_cpu_target_of_the_same_tag_takes_the_same_torch() -> None:
    resolution = plan_for(machine("no-gpu"), device=Device.CPU, torch="2.6.0")
    assert not resolution.refused
    assert chosen(resolution)["torch"] == "2.6.0"


@pytest.mark.parametrize("arch", ["10.0", "12.0"])
def test_blackwell_with_cuda_12_4_is_refused_and_the_silent_case_told(arch: str) -> None:
    resolution = plan_for(machine("b200"), cuda="12.4", gpu_arch=arch)
    assert "gpu_arch" in [one.subject for one in resolution.refused]
    assert "empty architecture list" in facts_said(resolution)
    assert any(way.startswith("--cuda 12.8") for way in ways_out(resolution))


def test_a_release_that_stops_by_itself_is_not_accused_of_going_on() -> None:
    resolution = plan_for(machine("b200"), vllm="0.33.0", cuda="12.4", gpu_arch="10.0")
    assert resolution.refused
    assert "empty architecture list" not in facts_said(resolution)


def test_hopper_builds_flash_attention_3_and_flashmla() -> None:
    resolution = plan_for(machine("h100"))
    assert not resolution.refused
    built = {target.name for target in resolution.targets if target.build}
    assert {"_vllm_fa3_C", "_flashmla_C"} <= built


CUDA_13 = replace(
    machine("l40s"),
    driver=None,
    toolkits=(Toolkit("13.0", "/usr/local/cuda-13.0", "13.0.88"),),
)


def gcc(version: str) -> tuple[Compiler, ...]:
    return (Compiler("g++", version, "/usr/bin/g++"),)


def test_a_gcc_too_new_for_nvcc_is_refused_and_a_toolkit_that_takes_it_offered() -> None:
    box = replace(machine("l40s"), compilers=gcc("14.2.0"), offered_gcc=(14, 15), driver=None)
    resolution = plan_for(box, vllm="0.10.1", cuda="12.4", gpu_arch="8.9")
    assert [one.subject for one in resolution.refused] == ["compiler"]
    assert "at most g++ 13" in facts_said(resolution)
    assert "this distribution has g++ 14, 15" in facts_said(resolution)
    assert any(way.startswith("--cuda 12.") for way in ways_out(resolution))
    assert not any("apt-get" in way for way in ways_out(resolution))


def test_a_gcc_too_old_for_the_tree_is_refused_and_a_release_that_takes_it_offered() -> None:
    box = replace(CUDA_13, compilers=gcc("12.2.0"), offered_gcc=(11, 12))
    resolution = plan_for(box, vllm="0.33.0", gpu_arch="8.9", targets=("cumem_allocator",))
    assert [one.subject for one in resolution.refused] == ["compiler"]
    assert "at least g++ 13" in facts_said(resolution)
    (way,) = [way for way in ways_out(resolution) if way.startswith("--vllm")]
    version = way.split()[1]
    again = plan_for(box, vllm=version, gpu_arch="8.9", targets=("cumem_allocator",))
    assert not again.refused


def test_0_33_plans_on_a_machine_with_gcc_13() -> None:
    box = replace(CUDA_13, compilers=gcc("13.3.0"))
    targets = ("cumem_allocator", "spinloop")
    resolution = plan_for(box, vllm="0.33.0", gpu_arch="8.9", targets=targets)
    assert not resolution.refused
    assert chosen(resolution)["compiler"] == gcc("13.3.0")[0]


def test_python_3_13_is_refused_and_3_12_offered() -> None:
    with_both = replace(
        machine("l40s"),
        pythons=(
            Python("3.13.1", "/usr/bin/python3.13", headers=True),
            Python("3.12.3", "/usr/bin/python3.12", headers=True),
        ),
    )
    resolution = plan_for(with_both, cuda="12.4", python="3.13")
    assert [one.subject for one in resolution.refused] == ["python"]
    assert "--python 3.12" in ways_out(resolution)


@pytest.mark.parametrize("torch", ["2.8.0"])
def test_another_torch_that_has_every_name_is_accepted_with_a_warning(torch: str) -> None:
    resolution = plan_for(machine("l40s"), cuda="12.4", torch=torch)
    assert not resolution.refused, facts_said(resolution)
    warnings = [word for one in resolution.chosen for word in one.warnings]
    assert any(f"not {torch}" in word for word in warnings)


def test_what_plain_pip_would_have_done_is_a_note() -> None:
    resolution = plan_for(machine("l40s"), cuda="12.4")
    assert any("pip install -e ." in note and "pyproject.toml" in note for note in resolution.notes)


def test_a_16_gb_laptop_gets_as_many_jobs_as_its_memory_holds() -> None:
    resolution = plan_for(machine("rtx-4090"))
    assert not resolution.refused, facts_said(resolution)
    jobs = chosen(resolution)["jobs"]
    assert isinstance(jobs, int)
    assert 1 <= jobs < 8


@pytest.mark.parametrize("name", ["l40s", "h100", "a100", "rtx-4090", "t4"])
def test_every_refusals_way_out_leads_to_a_plan(name: str) -> None:
    resolution = plan_for(machine(name), vllm="0.10.1", torch="2.6.0")
    for way in ways_out(resolution):
        option, value = way.split()[:2]
        if option in {"--torch", "--vllm"}:
            again = plan_for(machine(name), None, **{"torch": "2.6.0", option[2:]: value})
            assert not again.refused, (way, facts_said(again))


def test_all_refusals_are_shown_at_once() -> None:
    resolution = plan_for(machine("l40s"), cuda="11.8", python="3.13", torch="2.6.0")
    assert {one.subject for one in resolution.refused} >= {"python", "toolkit"}


@pytest.mark.parametrize("version", ["0.8.0", "0.8.5", "0.9.2", "0.11.2", "0.14.0", "0.20.0"])
def test_releases_of_every_age_plan_for_an_h100(version: str) -> None:
    resolution = plan_for(machine("h100"), vllm=version)
    subjects = {one.subject for one in resolution.refused}
    assert subjects <= {"toolkit", "python"}, facts_said(resolution)


PUBLISHED = Path(__file__).parents[2] / "data" / "checkpoints" / "published"


def published(name: str) -> Checkpoint:
    return read_checkpoint(PUBLISHED / name)


def test_a_checkpoint_that_the_release_loads_needs_no_argument() -> None:
    resolution = plan_for(machine("h100"), published("nvidia--Llama-3.1-70B-Instruct-FP8"))
    assert not resolution.refused, facts_said(resolution)
    assert chosen(resolution)["quantization"] is None


def test_a_checkpoint_the_release_cannot_read_is_refused_and_one_that_can_offered() -> None:
    checkpoint = published("nvidia--Qwen3.6-27B-NVFP4")
    resolution = plan_for(machine("h200"), checkpoint, vllm="0.20.0")
    assert [one.subject for one in resolution.refused] == ["quantization"]
    assert "W4A16_NVFP4" in facts_said(resolution)
    ways = [way for way in ways_out(resolution) if way.startswith("--vllm")]
    assert ways
    for way in ways:
        again = plan_for(machine("h200"), checkpoint, vllm=way.split()[1])
        assert not again.refused, (way, facts_said(again))


def test_on_a_cpu_every_checkpoint_runs_dequantized() -> None:
    checkpoint = published("nvidia--Qwen3-8B-NVFP4")
    resolution = plan_for(machine("no-gpu"), checkpoint, device=Device.CPU)
    assert not resolution.refused, facts_said(resolution)
    assert chosen(resolution)["quantization"] is None
