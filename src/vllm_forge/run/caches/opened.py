"""A compiler cache that is ready: what the launcher is told, and what the cache says afterwards."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vllm_forge.records.schedule import CacheUse


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """One build's cache.

    `program` is ccache or sccache; `folder` is where it keeps what it keeps. `build` is CMake's
    folder, `roots` the value of VLLM_FORGE_CACHE_ROOTS. `identity` names the compilers by content.
    `gnu`: the host compiler is g++. `namesakes` are headers of one name in several folders.
    """

    program: Path
    folder: Path
    build: Path
    roots: str
    identity: str
    gnu: bool
    namesakes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OpenCache:
    """`variables` are for ninja's environment; `asks_again`: the launcher is asked inside it.

    `roots` is the value of VLLM_FORGE_CACHE_ROOTS.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    asks_again: bool = False
    roots: str = ""
    read_use: Callable[[], CacheUse | None] = lambda: None


def launcher_variables(settings: CacheSettings) -> dict[str, str]:
    """What the launcher reads (run/scheduler/launcher.c).

    g++ writes down a header of -isystem by its real path where that is shorter: in another
    checkout that would still be this one's header, hence the flag.
    """
    return {
        "VLLM_FORGE_CACHE": str(settings.program),
        "VLLM_FORGE_CACHE_ROOTS": settings.roots,
        "VLLM_FORGE_CACHE_FLAG": "-fno-canonical-system-headers" if settings.gnu else "",
    }
