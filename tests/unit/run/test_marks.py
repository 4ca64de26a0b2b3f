"""A specialized build is done again when what we write into it changes, and no other build is."""

import pytest

from vllm_forge.records.plan import Compile, Configure, Plan, Register, Specialize, Step
from vllm_forge.records.specialization import MadeFor, Specialization
from vllm_forge.run import specialize
from vllm_forge.run.marks import marks_of

MADE_FOR = MadeFor(("LlamaForCausalLM",), "modelopt", ("FP8",), ("8.9",))
STEPS = (
    Step("specialize", "", Specialize("/f", Specialization(MADE_FOR, (), ())), (), "1"),
    Step("configure", "", Configure("/t", "/b", {}, {}, "g++"), (), "2"),
    Step("compile", "", Compile("/t", "/b", ("_C",), ("vllm._C",), "/l", 2), (), "3"),
    Step("register", "", Register("/t", "/e", "0.10.1", "cuda"), (), "4"),
)


def fingerprints(*steps: Step) -> list[str]:
    return [mark.fingerprint for mark in marks_of(Plan("ok", "tiny", {}, steps=steps))]


def test_our_templates_count(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprints(*STEPS)
    assert [one[0] for one in before] == ["1", "2", "3", "4"]
    monkeypatch.setattr(specialize, "STABLE", "another version's")
    after = fingerprints(*STEPS)
    assert [one != other for one, other in zip(before, after, strict=True)] == [True] * 3 + [False]


def test_they_count_for_nobody_else() -> None:
    assert fingerprints(*STEPS[1:]) == ["2", "3", "4"]
