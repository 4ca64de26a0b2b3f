"""Which vLLM: said by the user or chosen for a checkpoint; here it gets its reasons."""

from vllm_forge.records.decision import Chosen, Reason
from vllm_forge.resolve.given import Given


def choose_vllm(given: Given) -> Chosen[str | None]:
    release = given.facts.release
    told = Reason(f"the tree says {release.version.value}", release.version.source)
    return Chosen("vllm", release.version.value, (given.why_release, told))
