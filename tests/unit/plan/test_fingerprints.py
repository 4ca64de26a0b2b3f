"""Equal when, and only when, a step would do the same again."""

from dataclasses import replace

import pytest

from vllm_forge.plan.fingerprint import fingerprint
from vllm_forge.records.plan import Action, Compile, Configure, Environment, Register, Source

ACTIONS: list[Action] = [
    Source("sdist", "/home/sources/a", "0.10.1"),
    Environment("/home/envs/a", "/usr/bin/python3.12", "2.6.0", None),
    Configure("/tree", "/build", {"A": "1", "B": "2"}, {}, "/usr/bin/g++"),
    Compile("/tree", "/build", ("_C",), ("vllm._C",), "/home/launch", 4),
    Register("/tree", "/home/envs/a", "0.10.1+cpu", "cpu"),
]
CHANGES: list[dict[str, object]] = [
    {"version": "0.10.2"},
    {"torch": "2.7.1"},
    {"definitions": {"A": "1", "B": "3"}},
    {"targets": ("_moe_C",)},
    {"device": "cuda"},
]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: type(action).__name__)
def test_the_same_is_the_same(action: Action) -> None:
    assert fingerprint(action) == fingerprint(replace(action))
    assert fingerprint(action, ["a"]) == fingerprint(action, ("a",))


@pytest.mark.parametrize(("action", "change"), list(zip(ACTIONS, CHANGES, strict=True)))
def test_what_is_made_counts(action: Action, change: dict[str, object]) -> None:
    assert fingerprint(action) != fingerprint(replace(action, **change))  # type: ignore[arg-type]


def test_how_fast_it_is_made_does_not() -> None:
    compiled = Compile("/tree", "/build", ("_C",), ("vllm._C",), "/home/launch", 4)
    assert fingerprint(compiled) == fingerprint(replace(compiled, jobs=1, memory_bytes=1 << 30))


def test_what_it_stands_on_counts() -> None:
    action = ACTIONS[0]
    assert len({fingerprint(action, after) for after in ([], ["a"], ["a", "b"], ["b", "a"])}) == 4


def test_the_order_of_definitions_does_not() -> None:
    one = Configure("/tree", "/build", {"A": "1", "B": "2"}, {}, "/usr/bin/g++")
    assert fingerprint(one) == fingerprint(replace(one, definitions={"B": "2", "A": "1"}))


def test_two_kinds_of_step_are_never_the_same() -> None:
    assert len({fingerprint(action) for action in ACTIONS}) == len(ACTIONS)
