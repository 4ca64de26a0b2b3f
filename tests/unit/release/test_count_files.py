"""What stock compiles and what we do, counted from the shipped facts."""

from scripts.count_files import choose_nvcc, count, total
from vllm_forge.cli.tree_facts import facts_of_release


def totals(version: str, gpu: str) -> tuple[str, str, str]:
    facts = facts_of_release(version)
    assert facts is not None
    counted = count(facts, gpu, choose_nvcc(facts, gpu))
    return (
        total([one.every_gpu for one in counted]),
        total([one.this_gpu for one in counted]),
        total([one.ours for one in counted]),
    )


def test_0_10_1_leaves_out_what_an_l40s_never_runs() -> None:
    """425 files as measured in a real configure, of them 294 FlashAttention 3's."""
    assert totals("0.10.1", "8.9") == ("448", "425", "131")


def test_a_hopper_gets_all_that_is_for_it() -> None:
    every, this, ours = totals("0.10.1", "9.0")
    assert this == ours
    assert int(ours) < int(every)


def test_blackwell_takes_a_toolkit_that_knows_it() -> None:
    facts = facts_of_release("0.10.1")
    assert facts is not None
    assert choose_nvcc(facts, "12.0").startswith("12.8")
    assert choose_nvcc(facts, "8.9").startswith("12.4")


def test_what_could_not_be_counted_is_said() -> None:
    assert total([1, None, 2]) == "3 + ?"
