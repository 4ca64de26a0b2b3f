"""What the pure rules are given, for a published release on a machine that is a value."""

from vllm_forge.cli.tree_facts import facts_of_release
from vllm_forge.probe.cuda_tables import read_cuda_table
from vllm_forge.records.decision import Reason
from vllm_forge.records.machine import Machine
from vllm_forge.records.wishes import Wishes
from vllm_forge.release import known_releases, known_torches
from vllm_forge.resolve.given import Given


def given_on(machine: Machine, **wishes: object) -> Given:
    """The shipped tables' facts; vLLM 0.10.1 where the wishes name none."""
    asked = Wishes(**{"vllm": "0.10.1", **wishes})  # type: ignore[arg-type]
    facts = facts_of_release(str(asked.vllm))
    assert facts is not None
    return Given(
        wishes=asked,
        machine=machine,
        facts=facts,
        is_release=True,
        cuda=read_cuda_table(),
        torches=known_torches(),
        known=known_releases(),
        facts_of=facts_of_release,
        unpack_into="system",
        why_release=Reason("asked for", "a test"),
    )
