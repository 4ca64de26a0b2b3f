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
from vllm_forge.run.toolchain import Toolchain, read_toolchain
from vllm_forge.run.tools import tool

WAYS: Final = {"ccache": open_ccache, "sccache": open_sccache}
FOLDERS: Final = {"ccache": "CCACHE_DIR", "sccache": "SCCACHE_DIR"}
"""The user's own folder is used where he names one."""


@dataclass(frozen=True, slots=True)
class CacheWish:
    """`kind` is ccache, sccache or None; `required`: rather fail than go without.

    `folder` holds both caches and what was proven of them. `roots` are the folders that compiles
    name, by the names of their links.
    """

    kind: str | None
    required: bool
    folder: Path
    build: Path
    launcher: Path
    compiler: str
    nvcc: str | None
    roots: Mapping[str, Path]


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
        settings = _settings(wish, kind, run)
        subject = Subject(settings, wish.launcher, wish.compiler, wish.nvcc)
        proven = prove_cache(subject, wish.folder / "proofs.json", _opener(kind, run), run)
    except Problem as problem:
        return None, problem.message
    except OSError as error:
        return None, str(error)
    return (settings, None) if proven.trouble is None else (None, proven.trouble)


def _settings(wish: CacheWish, kind: str, run: RunCommand) -> CacheSettings:
    toolchain = read_toolchain(wish.compiler, wish.nvcc, run, os.environ)
    return CacheSettings(
        program=tool(kind),
        folder=Path(os.environ.get(FOLDERS[kind]) or wish.folder / kind),
        build=wish.build,
        roots=link_roots(wish.build, wish.roots),
        identity=toolchain.identity,
        gnu=_is_gnu(toolchain),
    )


def _opener(
    kind: str, run: RunCommand
) -> Callable[[CacheSettings], AbstractContextManager[OpenCache]]:
    def open_cache(settings: CacheSettings) -> AbstractContextManager[OpenCache]:
        return WAYS[kind](settings, run, os.environ)

    return open_cache


def _is_gnu(toolchain: Toolchain) -> bool:
    return any(Path(program).name in {"cc1plus", "cc1"} for program in toolchain.programs)
