"""What vLLM 0.10.1 has published, and a machine that reaches no code host."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from vllm_forge.cli.tree_facts import facts_of_release
from vllm_forge.probe.cuda_tables import read_cuda_table, read_recorded_machines
from vllm_forge.records.codec import parse_json
from vllm_forge.records.decision import Reason
from vllm_forge.records.machine import Machine, Reachable
from vllm_forge.records.release import Configured
from vllm_forge.records.reuse import ReleaseWheel
from vllm_forge.records.sourced import Sourced
from vllm_forge.records.wishes import Wishes
from vllm_forge.release import known_releases, known_torches
from vllm_forge.resolve.given import Given

FILE = Path(__file__).parents[1] / "data" / "wheels" / "vllm-0.10.1-x86_64.json"
WHEEL = parse_json(FILE.read_bytes(), ReleaseWheel, origin=FILE.name)
"""As `read_release_wheel` said it of the published wheel."""
L40S = replace(read_recorded_machines()["l40s-cuda-12.4"], reachable=Reachable(code_host=False))
REACHING = replace(L40S, reachable=Reachable(code_host=True))

Edits = Mapping[str, tuple[str, ...]]


def given(
    *,
    wheel: ReleaseWheel | None = WHEEL,
    edits: Edits | None = None,
    machine: Machine = L40S,
    **wishes: object,
) -> Given:
    asked = Wishes(**{"vllm": "0.10.1", "cuda": "12.4", **wishes})  # type: ignore[arg-type]
    facts = facts_of_release(str(asked.vllm))
    assert facts is not None

    def published(version: str) -> Sourced[ReleaseWheel]:
        return Sourced(wheel, f"the index has no wheel of vLLM {version}")

    def edited(configured: Configured, release: str) -> Sourced[Edits]:
        assert configured.targets
        return Sourced(edits or {}, f"compared with vLLM {release}")

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
        published=published,
        edits=edited,
    )
