"""Compiler caches with real compilers: sound ones are let through, unsound ones are caught."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.caches.ccache import open_ccache
from vllm_forge.run.caches.opened import CacheSettings, OpenCache
from vllm_forge.run.caches.opening import CacheWish, Compilers, caching
from vllm_forge.run.caches.proof import Open, Proven, Subject, prove_cache, try_cache
from vllm_forge.run.caches.sccache import open_sccache
from vllm_forge.run.process import run_command
from vllm_forge.run.scheduler import make_launcher
from vllm_forge.run.toolchain import find_programs, is_gnu
from vllm_forge.run.tools import tool

pytestmark = pytest.mark.compile


@dataclass(frozen=True)
class Trial:
    """A cache with g++, and with nvcc where one is given."""

    launcher: Path
    folder: Path

    def subject(self, kind: str, nvcc: Path | None = None) -> Subject:
        settings = CacheSettings(tool(kind), self.folder, self.folder, "", "one", gnu=True)
        return Subject(settings, self.launcher, "/usr/bin/g++", str(nvcc) if nvcc else None)


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    launcher = make_launcher(tmp_path / "launcher" / "forge-launch", "g++", run_command)
    return Trial(launcher, tmp_path)


@contextmanager
def opened(settings: CacheSettings) -> Iterator[OpenCache]:
    with open_ccache(settings, run_command, os.environ) as cache:
        yield cache


def without(name: str) -> Open:
    """A ccache that is not told one thing."""

    @contextmanager
    def open_cache(settings: CacheSettings) -> Iterator[OpenCache]:
        with opened(settings) as cache:
            yield replace(
                cache, variables={key: one for key, one in cache.variables.items() if key != name}
            )

    return open_cache


@contextmanager
def opened_sccache(settings: CacheSettings) -> Iterator[OpenCache]:
    with open_sccache(settings, run_command, os.environ) as cache:
        yield cache


def test_ccache_in_depend_mode_is_sound(trial: Trial, nvcc: Path) -> None:
    assert try_cache(trial.subject("ccache", nvcc), opened, run_command) == Proven(None)


def test_ccaches_default_mode_is_caught(trial: Trial, nvcc: Path) -> None:
    found = try_cache(trial.subject("ccache", nvcc), without("CCACHE_DEPEND"), run_command)
    assert found.trouble is not None
    assert "a .cu file's object did not" in found.trouble


def test_a_header_by_its_real_path_is_caught(trial: Trial) -> None:
    found = try_cache(trial.subject("ccache"), without("VLLM_FORGE_CACHE_FLAG"), run_command)
    assert found == Proven("given.h changed, and a .cpp file's object did not")


def test_a_cache_that_never_hits_is_no_cache(trial: Trial) -> None:
    @contextmanager
    def open_cache(settings: CacheSettings) -> Iterator[OpenCache]:
        with opened(settings) as cache:
            yield replace(cache, variables={**cache.variables, "CCACHE_RECACHE": "1"})

    found = try_cache(trial.subject("ccache"), open_cache, run_command)
    assert found == Proven("the same compile twice was no hit")


def test_sccache_is_sound_and_leaves_nobody(trial: Trial) -> None:
    assert try_cache(trial.subject("sccache"), opened_sccache, run_command) == Proven(None)
    assert not [
        path
        for path in Path("/proc").glob("[0-9]*/environ")
        if str(trial.folder).encode() in _read(path) and b"SCCACHE_START_SERVER" in _read(path)
    ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_what_was_proven_is_remembered_by_content(trial: Trial) -> None:
    kept, subject = trial.folder / "proofs.json", trial.subject("ccache")
    assert prove_cache(subject, kept, opened, run_command) == Proven(None)

    def never(_settings: CacheSettings) -> AbstractContextManager[OpenCache]:
        raise AssertionError("it was tried again")

    assert prove_cache(subject, kept, never, run_command) == Proven(None)
    other = replace(subject, settings=replace(subject.settings, identity="two"))
    with pytest.raises(AssertionError):
        prove_cache(other, kept, never, run_command)


def wish(trial: Trial, *, required: bool, compiler: str = "/usr/bin/g++") -> CacheWish:
    return CacheWish(
        kind="ccache",
        required=required,
        folder=trial.folder / "caches",
        build=trial.folder / "build",
        launcher=trial.launcher,
        compilers=Compilers(compiler, None, "one", gnu=True),
        roots={"tree": trial.folder},
    )


def test_what_may_not_be_used_is_left_out_or_refused(trial: Trial) -> None:
    """Here because the compiler makes nothing."""
    said: list[str] = []
    with caching(wish(trial, required=False, compiler="false"), run_command, said.append) as cache:
        assert cache == OpenCache()
    assert said == ["ccache is left out: a .cpp file did not compile behind it"]
    refused = caching(wish(trial, required=True, compiler="false"), run_command, said.append)
    with pytest.raises(Problem, match="may not be used") as caught, refused:
        pass
    assert caught.value.exit_code is ExitCode.REFUSED


def test_the_parts_of_compilers_are_found(nvcc: Path) -> None:
    programs = find_programs("g++", str(nvcc), run_command)
    assert {"cc1plus", "nvcc", "cicc", "ptxas"} <= {Path(program).name for program in programs}
    assert all(Path(program).is_file() for program in programs)
    assert is_gnu(programs)
