"""From a plan's wish to an open cache: found, proven, opened, or left out with a word of why."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vllm_forge.records.doors import RunCommand
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.caches.ccache import open_ccache
from vllm_forge.run.caches.opened import CacheSettings, OpenCache
from vllm_forge.run.caches.proof import Subject, prove_cache
from vllm_forge.run.caches.roots import link_roots
from vllm_forge.run.caches.sccache import open_sccache
from vllm_forge.run.tools import tool

WAYS: Final = {"ccache": open_ccache, "sccache": open_sccache}
FOLDERS: Final = {"ccache": "CCACHE_DIR", "sccache": "SCCACHE_DIR"}
"""The user's own folder is used where he names one."""


@dataclass(frozen=True, slots=True)
class Compilers:
    """What the cache stands before; `identity` names all their programs by content."""

    host: str
    nvcc: str | None
    identity: str
    gnu: bool


@dataclass(frozen=True, slots=True)
class CacheWish:
    """`kind` is ccache, sccache or None; `required`: rather fail than go without.

    `folder` holds both caches and what was proven of them. `roots` are the folders that compiles
    name, by the names of their links. With other `namesakes` (headers of one name in several
    folders) everything is another compile: a cache looks at the files that were read then, and not
    at one that would be read first now.
    """

    kind: str | None
    required: bool
    folder: Path
    build: Path
    launcher: Path
    compilers: Compilers
    roots: Mapping[str, Path]
    namesakes: tuple[str, ...] = ()


@contextmanager
def caching(wish: CacheWish, run: RunCommand, note: Callable[[str], None]) -> Iterator[OpenCache]:
    """The wished cache, where it may be used; else an `OpenCache` that does nothing.

    Raises:
        Problem: exit 3 where it is required and may not be used.
    """
    if wish.kind is None:
        yield OpenCache()
        return
    settings, trouble = _prepare(wish, wish.kind, run)
    if settings is None:
        if wish.required:
            raise Problem(
                f"{wish.kind} may not be used: {trouble}",
                hints=("--compiler-cache none",),
                exit_code=ExitCode.REFUSED,
            )
        note(f"{wish.kind} is left out: {trouble}")
        yield OpenCache()
        return
    with _opener(wish.kind, run)(settings) as cache:
        yield cache


def _prepare(
    wish: CacheWish, kind: str, run: RunCommand
) -> tuple[CacheSettings | None, str | None]:
    """Settings of a cache that may be used, or why none may."""
    try:
        settings = _settings(wish, kind)
        subject = Subject(settings, wish.launcher, wish.compilers.host, wish.compilers.nvcc)
        proven = prove_cache(subject, wish.folder / "proofs.json", _opener(kind, run), run)
    except Problem as problem:
        return None, problem.message
    except OSError as error:
        return None, str(error)
    return (settings, None) if proven.trouble is None else (None, proven.trouble)


def _settings(wish: CacheWish, kind: str) -> CacheSettings:
    return CacheSettings(
        program=tool(kind),
        folder=Path(os.environ.get(FOLDERS[kind]) or wish.folder / kind),
        build=wish.build,
        roots=link_roots(wish.build, wish.roots),
        identity=wish.compilers.identity,
        gnu=wish.compilers.gnu,
        namesakes=wish.namesakes,
    )


def _opener(
    kind: str, run: RunCommand
) -> Callable[[CacheSettings], AbstractContextManager[OpenCache]]:
    def open_cache(settings: CacheSettings) -> AbstractContextManager[OpenCache]:
        return WAYS[kind](settings, run, os.environ)

    return open_cache
