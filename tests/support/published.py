"""What vLLM 0.10.1 has published, and a machine that reaches no code host."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tests.support.given import given_on
from vllm_forge.probe.cuda_tables import read_recorded_machines
from vllm_forge.records.codec import parse_json
from vllm_forge.records.machine import Machine, Reachable
from vllm_forge.records.release import Configured
from vllm_forge.records.reuse import ReleaseWheel
from vllm_forge.records.sourced import Sourced
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
    def published(version: str) -> Sourced[ReleaseWheel]:
        return Sourced(wheel, f"the index has no wheel of vLLM {version}")

    def edited(configured: Configured, release: str) -> Sourced[Edits]:
        assert configured.targets
        return Sourced(edits or {}, f"compared with vLLM {release}")

    plain = given_on(machine, **{"cuda": "12.4", **wishes})
    return replace(plain, published=published, edits=edited)
