"""The tree's requirements without what would swap torch."""

import pytest

from vllm_forge.plan.requirements import select_requirements
from vllm_forge.records.release import RequirementLine
from vllm_forge.resolve.torch import Target

TARGET = Target("x86_64", "3.12.1")


def select(*lines: str, pinned: bool = True) -> tuple[tuple[str, ...], list[str]]:
    sourced = [RequirementLine(line, f"cpu.txt:{n}") for n, line in enumerate(lines, 1)]
    chosen = select_requirements(sourced, TARGET, torch_is_pinned_one=pinned)
    return chosen.lines, list(chosen.dropped)


def test_torch_stays_and_is_told() -> None:
    assert select("numpy", "torch==2.6.0+cpu") == (
        ("numpy",),
        ["torch==2.6.0+cpu: the proven torch stays (cpu.txt:2)"],
    )


@pytest.mark.parametrize("name", ["torchvision", "torchaudio", "xformers", "Torch_Audio"])
def test_what_is_bound_to_the_trees_torch(name: str) -> None:
    line = f"{name}==0.21.0"
    assert select(line)[0] == (line,)
    if name != "Torch_Audio":
        assert select(line, pinned=False)[0] == (name,)


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ('a; platform_machine == "x86_64"', ("a",)),
        ('a; platform_machine == "aarch64"', ()),
        ('a==1; python_version < "3.12"', ()),
        ('a==1; python_version >= "3.12"', ("a==1",)),
        ('a; sys_platform == "darwin"', ()),
        ('a[b]>=1; extra == "c"', ()),
        ("a[b]>=1", ("a[b]>=1",)),
    ],
)
def test_markers_are_judged_for_the_planned_environment(line: str, kept: tuple[str, ...]) -> None:
    assert select(line)[0] == kept


def test_one_line_for_what_is_said_twice() -> None:
    assert select("numpy<3", "numpy<3", "numpy") == (("numpy<3", "numpy"), [])


def test_what_is_no_requirement_is_told() -> None:
    assert select("./local")[1] == ["./local: not a requirement (cpu.txt:1)"]


def test_what_the_user_leaves_out() -> None:
    lines = [RequirementLine(line, f"cuda.txt:{n}") for n, line in enumerate(("a_b==1", "c"), 1)]
    chosen = select_requirements(lines, TARGET, torch_is_pinned_one=True, without=("A-B", "d"))
    assert chosen.lines == ("c",)
    assert chosen.dropped == ("a_b==1: --without (cuda.txt:1)",)
