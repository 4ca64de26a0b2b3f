"""ccache, in depend mode alone: it looks at every file that the compiler said it read.

Its default mode finds a CUDA file's headers by `nvcc -E`, which sees the first architecture only:
a change for the host or for another architecture goes unseen (docs/caches.md).
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final

from vllm_forge.records.doors import RunCommand
from vllm_forge.records.schedule import CacheUse
from vllm_forge.run.caches.opened import CacheSettings, OpenCache, launcher_variables

HITS: Final = frozenset({"direct_cache_hit", "preprocessed_cache_hit"})
NEW: Final = "new source, flags or compilers"
CHANGED: Final = "a file it reads changed"
STORAGE: Final = ("local_storage", "remote_storage", "direct_cache", "preprocessed_cache")


@contextmanager
def open_ccache(
    settings: CacheSettings, run: RunCommand, _environ: Mapping[str, str]
) -> Iterator[OpenCache]:
    """Open ccache under our settings; its size and remote storage stay the user's."""
    log = settings.build / "forge-ccache.log"
    with suppress(OSError):
        log.unlink(missing_ok=True)
    namesakes = hashlib.sha256("\n".join(settings.namesakes).encode()).hexdigest()
    said = run([settings.program, "--version"]).stdout.split("\n", 1)[0]

    def read_use() -> CacheUse:
        try:
            return parse_use(log.read_text(errors="replace"), said, str(settings.folder))
        except OSError:
            return parse_use("", said, str(settings.folder))

    yield OpenCache(
        {
            **launcher_variables(settings),
            "CCACHE_DIR": str(settings.folder),
            "CCACHE_DEPEND": "1",
            "CCACHE_DIRECT": "1",
            # What would make it look at less than everything:
            **dict.fromkeys(("CCACHE_SLOPPINESS", "CCACHE_IGNOREOPTIONS"), ""),
            **dict.fromkeys(("CCACHE_IGNOREHEADERS", "CCACHE_COMPILER", "CCACHE_BASEDIR"), ""),
            # nvcc and g++ are but the first of the programs that make an object:
            "CCACHE_COMPILERCHECK": f"string:{settings.identity} {namesakes}",
            "CCACHE_STATSLOG": str(log),
        },
        asks_again=True,
        roots=settings.roots,
        read_use=read_use,
    )


def parse_use(log: str, version: str, folder: str) -> CacheUse:
    r"""A build's use out of its stats log: `# SOURCE`, then one line for each counter.

    >>> parse_use("# a.cu\ncache_miss\nlocal_storage_read_hit\n", "ccache version 4.7.5", "/c")
    CacheUse(name='ccache', version='4.7.5', folder='/c', hits=0, misses=1, missed={'a file it reads changed': 1})
    """  # noqa: E501 -- one value
    hits, missed = 0, Counter[str]()
    for entry in log.split("# ")[1:]:
        counters = entry.splitlines()[1:]
        if HITS & set(counters):
            hits += 1
        else:
            missed[_reason(counters)] += 1
    return CacheUse(
        "ccache", version.rpartition(" ")[2], folder, hits, missed.total(), dict(missed)
    )


def _reason(counters: list[str]) -> str:
    """A manifest was found: the same command was cached, with other headers."""
    if "cache_miss" in counters:
        return CHANGED if "local_storage_read_hit" in counters else NEW
    own = [one for one in counters if not one.startswith(STORAGE)]
    return own[0].replace("_", " ") if own else "not said"
