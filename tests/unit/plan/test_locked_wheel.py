"""A lock pins the wheel: the same file and the same targets on any machine, or every difference."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.published import L40S, REACHING, WHEEL, given
from vllm_forge.plan.assemble import Origin, Setting, assemble
from vllm_forge.plan.lock import find_drift, make_lock, wishes_of
from vllm_forge.records.home import Home
from vllm_forge.records.lock import Lock, LockedWheel
from vllm_forge.records.machine import Machine
from vllm_forge.records.plan import Plan, Register
from vllm_forge.records.reuse import ReleaseWheel
from vllm_forge.records.specialization import LeftOut
from vllm_forge.records.wishes import Strategy, Wishes
from vllm_forge.resolve.resolution import resolve
from vllm_forge.run.marks import marks_of

UNWISHED = Wishes(vllm="0.10.1", cuda="12.4")


def plan_for(
    machine: Machine, wishes: Wishes, wheel: ReleaseWheel = WHEEL, home: str = "/home/forge"
) -> Plan:
    facts = replace(given(wheel=wheel, machine=machine), wishes=wishes)
    made = resolve(facts)
    assert made.refused == ()
    setting = Setting(Home(Path(home)), None, "x86_64")
    return assemble(made, facts.facts.release, Origin("sdist"), setting)


def lock_for(machine: Machine, wishes: Wishes = UNWISHED, wheel: ReleaseWheel = WHEEL) -> Lock:
    return lock_of(plan_for(machine, wishes, wheel))


def lock_of(plan: Plan) -> Lock:
    release = given().facts.release
    return make_lock(plan, release, sha256="0" * 64, packages="torch==2.7.1\n", forge="0")


def test_the_wheel_is_pinned_with_its_targets() -> None:
    assert lock_for(L40S).wheel == LockedWheel(WHEEL.filename, WHEEL.sha256, ("_vllm_fa2_C",))
    assert lock_for(REACHING).wheel is None


@pytest.mark.parametrize("made_on", [L40S, REACHING], ids=["no code host", "code host"])
@pytest.mark.parametrize("targets", [(), ("_C", "_moe_C")])
def test_where_it_was_made_does_not_matter(made_on: Machine, targets: tuple[str, ...]) -> None:
    lock = lock_for(made_on, replace(UNWISHED, targets=targets))
    wishes = wishes_of(lock, Wishes())
    assert find_drift(lock, lock_for(REACHING, wishes)) == ()


def test_no_folder_of_one_machine_is_pinned() -> None:
    here, there = (lock_of(plan_for(L40S, UNWISHED, home=home)) for home in ("/a", "/b"))
    assert "VLLM_FORGE_ARCHITECTURES" in here.definitions, "a hook mends this build"
    assert find_drift(here, there) == ()


def test_another_wheel_is_named() -> None:
    lock = lock_for(L40S)
    other = replace(WHEEL, sha256="f" * 64)
    assert find_drift(lock, lock_for(L40S, wishes_of(lock, Wishes()), other)) == (
        f"wheel sha256: locked {WHEEL.sha256}, now {'f' * 64}",
    )


def test_compiled_where_it_was_taken_is_named() -> None:
    drift = find_drift(lock_for(L40S), lock_for(REACHING))
    assert "wheel targets: locked _vllm_fa2_C, now nothing" in drift


class TestPrecompiled:
    WISH = replace(UNWISHED, cuda=None, strategy=Strategy.PRECOMPILED)

    def test_no_step_compiles(self) -> None:
        plan = plan_for(L40S, self.WISH)
        names = [step.name for step in plan.steps]
        assert names == ["source", "environment", "requirements", "reuse", "register"]
        assert plan.key == "vllm-0.10.1-precompiled-sm8.9-torch2.7.1-py3.12"
        register = plan.steps[-1].action
        assert isinstance(register, Register)
        assert register.version == "0.10.1+precompiled"
        assert [mark.step for mark in marks_of(plan) if mark.watched] == ["reuse"]

    def test_its_lock_leads_to_it_again(self) -> None:
        lock = lock_for(L40S, self.WISH)
        assert (lock.toolkit, lock.compiler, lock.definitions) == (None, None, {})
        assert find_drift(lock, lock_for(REACHING, wishes_of(lock, Wishes()))) == ()


def test_the_reuse_is_a_step_before_the_compile_that_it_does_not_touch() -> None:
    plan = plan_for(L40S, UNWISHED)
    alone = plan_for(L40S, replace(UNWISHED, targets=("_C", "_moe_C", "cumem_allocator")))
    marks = {step.name: step.fingerprint for step in plan.steps}
    assert list(marks) == [
        "projects",
        "source",
        "environment",
        "requirements",
        "reuse",
        "configure",
        "compile",
        "register",
    ]
    assert {name: mark for name, mark in marks.items() if name != "reuse"} == {
        step.name: step.fingerprint for step in alone.steps
    }
    assert plan.key == alone.key
    assert [mark.step for mark in marks_of(plan) if mark.watched] == ["configure", "compile"]


def test_what_a_checkpoint_does_without_is_pinned_file_by_file() -> None:
    plan = plan_for(L40S, UNWISHED)
    less = LeftOut("_C", ("csrc/awq.cu", "csrc/gptq.cu"), "not reached", "vllm/a.py:1")
    targets = tuple(
        replace(one, left_out=(less,)) if one.name == "_C" else one for one in plan.targets
    )
    release = given().facts.release
    smaller = make_lock(
        replace(plan, targets=targets),
        release,
        sha256="0" * 64,
        packages="torch==2.7.1\n",
        forge="0",
    )
    assert smaller.left_out == {"_C": ("csrc/awq.cu", "csrc/gptq.cu")}
    assert find_drift(smaller, replace(lock_for(L40S), left_out={"_C": ("csrc/awq.cu",)})) == (
        "_C csrc/gptq.cu: locked left out, now compiled",
    )
    assert find_drift(lock_for(L40S), smaller) == (
        "_C csrc/awq.cu: locked compiled, now left out",
        "_C csrc/gptq.cu: locked compiled, now left out",
    )
