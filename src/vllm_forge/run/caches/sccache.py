"""sccache, with a server of the build's own on a socket of its own, gone when the build ends.

Compiles happen in that server, out of the launcher's sight: the launcher lets a client through only
when a compile of its size would fit.
"""

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any, Final

import msgspec

from vllm_forge.records.doors import RunCommand
from vllm_forge.records.problem import Problem
from vllm_forge.records.schedule import CacheUse
from vllm_forge.run.caches.opened import CacheSettings, OpenCache, launcher_variables
from vllm_forge.run.process import dies_with_us

START_SECONDS: Final = 15.0
STOP_SECONDS: Final = 5.0
LANGUAGES: Final = ("CUDA", "C/C++")
"""How its counters name compiles; its other counters are nvcc's inner steps."""

MISSED: Final = "new source, headers, flags or compilers"


@contextmanager
def open_sccache(
    settings: CacheSettings, run: RunCommand, environ: Mapping[str, str]
) -> Iterator[OpenCache]:
    """Its server, from its start to its end.

    Raises:
        Problem: when it does not start.
    """
    folder = str(settings.folder)
    # In a folder of its own: a socket's path may have 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="forge-sccache-") as place:
        socket = Path(place) / "socket"
        variables = {
            "SCCACHE_SERVER_UDS": str(socket),
            "SCCACHE_DIR": folder,
            "SCCACHE_IDLE_TIMEOUT": "0",
            "SCCACHE_BASEDIRS": str(settings.build),
            # Its own way around the preprocessor looks at mtimes:
            "SCCACHE_DIRECT": "false",
        }
        everything = {**environ, **variables}
        with _serving(settings.program, socket, everything, Path(place) / "log"):

            def read_use() -> CacheUse | None:
                asked: list[str | Path] = [settings.program, "--show-stats", "--stats-format=json"]
                said = run(asked, env=everything)
                return parse_use(said.stdout, folder) if said.code == 0 else None

            yield OpenCache(
                {**launcher_variables(settings), **variables},
                roots=settings.roots,
                read_use=read_use,
            )


def parse_use(stats: str, folder: str) -> CacheUse | None:
    """Whole compiles out of `--show-stats --stats-format=json`; None where it says none."""
    try:
        said: dict[str, Any] = msgspec.json.decode(stats)
        counted = said["stats"]
        hits = sum(counted["cache_hits"]["counts"].get(name, 0) for name in LANGUAGES)
        misses = sum(counted["cache_misses"]["counts"].get(name, 0) for name in LANGUAGES)
        missed = {MISSED: misses} if misses else {}
        missed |= {str(why): int(count) for why, count in counted["not_cached"].items()}
        return CacheUse("sccache", said["version"], folder, hits, sum(missed.values()), missed)
    except (msgspec.DecodeError, AttributeError, KeyError, TypeError, ValueError):
        return None


@contextmanager
def _serving(program: Path, socket: Path, environ: Mapping[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as said:
        server = subprocess.Popen(
            [*dies_with_us(), str(program)],
            cwd="/",
            env={**environ, "SCCACHE_START_SERVER": "1", "SCCACHE_NO_DAEMON": "1"},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(socket, server, log)
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, 15)
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, 9)
            server.wait()


def _wait_for(socket: Path, server: "subprocess.Popen[bytes]", log: Path) -> None:
    pause = threading.Event()
    until = monotonic() + START_SECONDS
    while not socket.exists():
        if server.poll() is not None or monotonic() > until:
            last = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise Problem(
                f"{shutil.which(str(server.args)) or 'sccache'} did not start its server",
                causes=tuple(last),
                hints=("--compiler-cache none",),
            )
        pause.wait(0.02)
