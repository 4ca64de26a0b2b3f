"""A resolution becomes steps: what lies where, and what stands on what."""

from dataclasses import replace
from pathlib import Path

from vllm_forge.plan.assemble import Origin, Setting, assemble
from vllm_forge.plan.launcher import launcher_definitions
from vllm_forge.records.decision import Chosen, Reason, Refused
from vllm_forge.records.home import Home
from vllm_forge.records.machine import Compiler, Python
from vllm_forge.records.plan import (
    Compile,
    Configure,
    Environment,
    Plan,
    PlannedTarget,
    Register,
    Requirements,
    Source,
    SystemPackages,
)
from vllm_forge.records.resolution import Build, CpuPart, Limits, Resolution
from vllm_forge.records.wishes import Device, Isa
from vllm_forge.release import read_release

TINY = Path(__file__).parents[2] / "trees" / "tiny"
RELEASE = read_release(TINY)
WHY = (Reason("the test says so", "here"),)
BUILD = Build(
    device=Device.CPU,
    python=Chosen("python", Python("3.12.1", "/usr/bin/python3.12"), WHY),
    torch=Chosen("torch", "2.6.0", WHY),
    compiler=Chosen("compiler", Compiler("g++", "12.2.0", "/usr/bin/g++"), WHY),
    jobs=Chosen("jobs", 2, WHY),
    system_packages=Chosen("system_packages", None, WHY),
    part=CpuPart(Chosen("isa", Isa.AVX2, WHY, ("slower than it could be",))),
    limits=Limits(2),
    compiler_cache=Chosen("compiler_cache", None, ()),
)
TARGETS = (
    PlannedTarget("_C", build=True, because="asked for"),
    PlannedTarget("_moe_C", build=False, because="not asked for"),
)
PINNED = 'torch==2.6.0+cpu; platform_machine == "x86_64"'
HOME = Home(Path("/home/forge"))


def plan(
    build: Build | None = BUILD,
    origin: Origin | None = None,
    environment: Path | None = None,
    refused: tuple[Refused, ...] = (),
) -> Plan:
    chosen = (BUILD.python, BUILD.torch, BUILD.part.isa) if isinstance(BUILD.part, CpuPart) else ()
    resolution = Resolution(chosen, refused, TARGETS, (), build)
    setting = Setting(HOME, environment, "x86_64")
    return assemble(resolution, RELEASE, origin or Origin("sdist"), setting)


def test_a_misspelt_name_to_leave_out_is_told() -> None:
    resolution = Resolution((), (), TARGETS, (), BUILD)
    setting = Setting(HOME, None, "x86_64", without=("numpyy",))
    [warning] = assemble(resolution, RELEASE, Origin("sdist"), setting).warnings
    assert warning == "--without numpyy: no requirement of vLLM 0.0.1 for cpu has that name"


def actions(made: Plan) -> dict[str, object]:
    return {step.name: step.action for step in made.steps}


def test_the_order_of_the_work() -> None:
    steps = plan().steps
    names = [step.name for step in steps]
    assert names == ["source", "environment", "requirements", "configure", "compile", "register"]
    for place, step in enumerate(steps):
        assert set(step.after) <= set(names[:place]), f"{step.name} stands on what comes later"


def test_everything_lies_below_the_home_under_one_key() -> None:
    made = plan()
    assert made.key == "vllm-0.0.1-cpu-avx2-torch2.6.0-py3.12"
    key = made.key
    assert actions(made) == {
        "source": Source("sdist", f"/home/forge/sources/{key}", "0.0.1"),
        "environment": Environment(f"/home/forge/envs/{key}", "/usr/bin/python3.12", "2.6.0", None),
        "requirements": Requirements(
            f"/home/forge/envs/{key}",
            ("packaging>=24.2",),
            ("packaging>=24.2",),
            (
                f"{PINNED}: the proven torch stays (requirements/cpu.txt:2)",
                "torch==2.6.0: the proven torch stays (pyproject.toml:3)",
            ),
        ),
        "configure": Configure(
            f"/home/forge/sources/{key}",
            f"/home/forge/builds/{key}",
            {
                "CMAKE_BUILD_TYPE": "RelWithDebInfo",
                "VLLM_TARGET_DEVICE": "cpu",
                "VLLM_PYTHON_EXECUTABLE": f"/home/forge/envs/{key}/bin/python",
                "FETCHCONTENT_BASE_DIR": f"/home/forge/builds/{key}/fetched",
                **launcher_definitions(HOME.launcher, cuda=False),
                "Torch_DIR": f"/home/forge/cmake/{key}",
            },
            {"VLLM_TARGET_DEVICE": "cpu", "VLLM_CPU_DISABLE_AVX512": "true"},
            "/usr/bin/g++",
        ),
        "compile": Compile(
            f"/home/forge/sources/{key}",
            f"/home/forge/builds/{key}",
            ("_C",),
            ("vllm._C",),
            str(HOME.launcher),
            2,
        ),
        "register": Register(
            f"/home/forge/sources/{key}", f"/home/forge/envs/{key}", "0.0.1+cpu", "cpu"
        ),
    }


def test_a_tree_of_the_users_is_used_in_place() -> None:
    made = plan(origin=Origin("tree", path=TINY))
    source = actions(made)["source"]
    assert source == Source("tree", str(TINY))
    assert actions(made)["compile"] == Compile(
        str(TINY), str(HOME.build(made.key)), ("_C",), ("vllm._C",), str(HOME.launcher), 2
    )


def test_no_two_origins_share_a_build_folder() -> None:
    origins = [
        Origin("sdist"),
        Origin("tree", path=Path("/a")),
        Origin("tree", path=Path("/b")),
        Origin("git", url="https://host/a", ref="main"),
        Origin("git", url="https://host/a", ref="v1"),
    ]
    keys = {plan(origin=origin).key for origin in origins}
    assert len(keys | {plan(environment=Path("/env")).key}) == 6


def test_missing_packages_come_first_and_configure_stands_on_them() -> None:
    packages = SystemPackages(("libnuma-dev",), ("numa.h",), "/home/forge/system/debian")
    system: Chosen[SystemPackages | None] = Chosen("system_packages", packages, WHY)
    made = plan(replace(BUILD, system_packages=system))
    assert made.steps[0].name == "system-packages"
    assert made.steps[0].title == "unpack libnuma-dev"
    configure = next(step for step in made.steps if step.name == "configure")
    assert "system-packages" in configure.after
    assert configure.fingerprint != plan().steps[3].fingerprint


def test_a_refusal_leaves_no_step() -> None:
    why = Refused("compiler", WHY, ("apt-get install g++",))
    made = plan(None, refused=(why,))
    assert (made.status, made.steps, made.refusals) == ("refused", (), (why,))
    assert made.choices["torch"].value == "2.6.0"


def test_warnings_of_choices_reach_the_plan() -> None:
    assert plan().warnings == ("slower than it could be",)
