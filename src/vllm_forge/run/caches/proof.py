"""Whether a compiler cache may be used: it is tried on a file made to deceive it.

Two checkouts of one file are compiled through the launcher. A header that only the host pass reads,
one that only the second architecture reads, and one of -isystem are changed in the second checkout,
each in turn: each time the object has to change. What came out is remembered for this cache with
these compilers.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from time import sleep
from typing import Final

from vllm_forge.records.codec import parse_json, render_json
from vllm_forge.records.doors import RunCommand
from vllm_forge.records.problem import Problem
from vllm_forge.run.caches.opened import CacheSettings, OpenCache
from vllm_forge.run.caches.roots import link_roots
from vllm_forge.run.files import sha256_of, write_atomically

Open = Callable[[CacheSettings], AbstractContextManager[OpenCache]]

SOURCE: Final = """
#include <given.h>
#ifdef __CUDACC__
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
#include "second.h"
#endif
__global__ void kernel(int *out) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  *out = SECOND;
#endif
}
#endif
#ifndef __CUDA_ARCH__
#include "host.h"
int host() { return HOST + GIVEN; }
#endif
"""
HEADERS: Final = {"given/given.h": "GIVEN", "tree/host.h": "HOST", "tree/second.h": "SECOND"}
"""In the order they change. The first checkout's `given.h` answers for the second's only as long
as all else is equal."""

ARCHITECTURES: Final = ("75", "80")
"""`second.h` is read from 8.0 on; every nvcc from 11 to 13 compiles for both."""

FOLDERS: Final = {"tree": "tree", "given": f"given-{'x' * 150}"}
"""Folder → its link. Where a link is longer than its folder, g++ would write the folder's name."""

SETTLE_SECONDS: Final = 1.1
"""A cache does not trust a file written in the second before."""

TIMEOUT: Final = 300.0


@dataclass(frozen=True, slots=True)
class Proven:
    """`trouble` is what it did wrong, None where it may be used."""

    trouble: str | None


@dataclass(frozen=True, slots=True)
class Subject:
    """What is tried: the cache behind this launcher, and each compiler it will stand before."""

    settings: CacheSettings
    launcher: Path
    compiler: str
    nvcc: str | None


def prove_cache(subject: Subject, kept: Path, open_cache: Open, run: RunCommand) -> Proven:
    """From `kept` (a file of the home) where it was tried before, else tried now.

    With an nvcc a few compiles of some seconds each, with g++ alone less than two.
    """
    mark = mark_of(subject)
    known = _read(kept)
    if mark not in known:
        known = {**known, mark: try_cache(subject, open_cache, run)}
        write_atomically(kept, render_json(known))
    return known[mark]


def mark_of(subject: Subject) -> str:
    """The cache, the compilers and this trial, by content."""
    parts = (
        sha256_of(subject.settings.program.resolve()),
        sha256_of(subject.launcher),
        subject.settings.identity,
        sha256_of(Path(__file__)),
        "nvcc" if subject.nvcc else "g++",
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def try_cache(subject: Subject, open_cache: Open, run: RunCommand) -> Proven:
    """Try it with every compiler, in a folder and a cache that are thrown away."""
    languages = ("cpp", *(("cu",) if subject.nvcc else ()))
    with tempfile.TemporaryDirectory(prefix="forge-cache-") as place:
        folder = Path(place)
        for checkout in (folder / "a", folder / "b"):
            _write(checkout)
        sleep(SETTLE_SECONDS)
        settings = replace(subject.settings, folder=folder / "cache", build=folder / "a")
        try:
            with open_cache(settings) as cache:
                for language in languages:
                    trouble = _Trial(subject, folder, language, cache, run).find_trouble()
                    if trouble is not None:
                        return Proven(trouble)
                use = cache.read_use()
        except Problem as problem:
            return Proven("; ".join((problem.message, *problem.causes)))
        if use is None or use.hits < len(languages):
            return Proven("the same compile twice was no hit")
    return Proven(None)


@dataclass(frozen=True, slots=True)
class _Trial:
    subject: Subject
    folder: Path
    language: str
    cache: OpenCache
    run: RunCommand

    def find_trouble(self) -> str | None:
        """What it did wrong with this language."""
        first, again, other = self.compile("a"), self.compile("a"), self.compile("b")
        if first is None or again is None or other is None:
            return f"a .{self.language} file did not compile behind it"
        if first != again:
            return f"the same .{self.language} file twice made two objects"
        seen = {first, other}
        for header, name in HEADERS.items():
            if name == "SECOND" and self.language == "cpp":
                continue
            path = self.folder / "b" / header
            path.write_text(f"#define {name} {int(path.read_text().split()[-1]) + 7}\n")
            made = self.compile("b")
            if made is None or made in seen:
                return f"{name.lower()}.h changed, and a .{self.language} file's object did not"
            seen.add(made)
        return None

    def compile(self, checkout: str) -> str | None:
        """The object's digest; None where there is none."""
        place = self.folder / checkout
        made = place / f"probe.{self.language}.o"
        made.unlink(missing_ok=True)
        roots = link_roots(place, {link: place / name for name, link in FOLDERS.items()})
        variables = {**self.cache.variables, "VLLM_FORGE_CACHE_ROOTS": roots}
        words: list[str | Path] = [self.subject.launcher, *self._words(place), "-o", made.name]
        said = self.run(words, cwd=place, env=_environment(variables), timeout=TIMEOUT)
        return sha256_of(made) if said.code == 0 and made.exists() else None

    def _words(self, place: Path) -> list[str]:
        source = str(place / "tree" / f"probe.{self.language}")
        read = [f"-I{place}/tree", "-isystem", f"{place}/given", "-MD", "-MF", "probe.d"]
        if self.language == "cpp":
            return [self.subject.compiler, "-g", *read, "-c", source]
        archs = [f"--generate-code=arch=compute_{one},code=[sm_{one}]" for one in ARCHITECTURES]
        nvcc = [str(self.subject.nvcc), f"-ccbin={self.subject.compiler}", "-g", *archs]
        return [*nvcc, *read, "-MT", "probe.cu.o", "-x", "cu", "-c", source]


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, **variables}


def _write(checkout: Path) -> None:
    for name in FOLDERS:
        (checkout / name).mkdir(parents=True)
    for language in ("cpp", "cu"):
        (checkout / "tree" / f"probe.{language}").write_text(SOURCE)
    for header, name in HEADERS.items():
        (checkout / header).write_text(f"#define {name} 1\n")


def _read(kept: Path) -> dict[str, Proven]:
    try:
        return parse_json(kept.read_bytes(), dict[str, Proven], origin=str(kept))
    except (OSError, Problem):
        return {}
