"""Which compiler cache, and why."""

import pytest

from vllm_forge.records.decision import Chosen, Refused
from vllm_forge.records.machine import Tools
from vllm_forge.records.wishes import CompilerCache
from vllm_forge.resolve.compiler_cache import choose_compiler_cache

BOTH = Tools(ccache="4.14.2", sccache="0.16.0")


@pytest.mark.parametrize(
    ("wish", "tools", "value"),
    [
        (CompilerCache.AUTO, BOTH, "ccache"),
        (CompilerCache.AUTO, Tools(sccache="0.16.0"), None),
        (CompilerCache.NONE, BOTH, None),
        (CompilerCache.CCACHE, BOTH, "ccache"),
        (CompilerCache.SCCACHE, BOTH, "sccache"),
    ],
)
def test_chosen_with_its_reasons(wish: CompilerCache, tools: Tools, value: str | None) -> None:
    decision = choose_compiler_cache(wish, tools)
    assert isinstance(decision, Chosen)
    assert (decision.subject, decision.value) == ("compiler_cache", value)
    assert decision.because


@pytest.mark.parametrize("wish", [CompilerCache.CCACHE, CompilerCache.SCCACHE])
def test_one_that_is_not_here_is_refused_when_asked_for(wish: CompilerCache) -> None:
    decision = choose_compiler_cache(wish, Tools())
    assert isinstance(decision, Refused)
    assert [reason.fact for reason in decision.because] == [
        f"--compiler-cache {wish}",
        f"{wish} is not found",
    ]
    assert decision.ways_out[0].startswith("python3 -m pip install ")
