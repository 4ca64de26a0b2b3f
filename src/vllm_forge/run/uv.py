"""uv: where it is, and how it is called."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.process import work

TAIL_LINES = 12
NOT_OURS = ("error sending request", "dns error", "no space left", "read-only file system")
"""What uv says when the network or the disk fails it."""

EXTRA_INDEXES = frozenset({"UV_INDEX", "UV_INDEX_STRATEGY", "UV_FIND_LINKS"})


def uv_program() -> Path:
    """Our own dependency first: its version is the one we were tested with."""
    beside = Path(sys.executable).parent / "uv"
    if beside.exists():
        return beside
    found = shutil.which("uv")
    if found is None:
        raise Problem("uv is not installed", hints=("python3 -m pip install uv",))
    return Path(found)


@dataclass(frozen=True, slots=True)
class Uv:
    """uv seeing the user's indexes (`variables`), its words kept in `log` and told to `on_line`."""

    variables: Mapping[str, str]
    log: Path
    offline: bool = False
    on_line: Callable[[str], None] = lambda _: None

    def without_extra_indexes(self) -> "Uv":
        """The same, seeing only the default index."""
        fewer = {name: value for name, value in self.variables.items() if name not in EXTRA_INDEXES}
        return replace(self, variables=fewer)

    def with_links(self, folder: Path) -> "Uv":
        """The same, seeing the packages in `folder` too (an option would hide the variable's)."""
        seen = self.variables.get("UV_FIND_LINKS")
        links = f"{folder},{seen}" if seen else str(folder)
        return replace(self, variables={**self.variables, "UV_FIND_LINKS": links})

    def __call__(self, *words: str | Path, failed: str) -> None:
        """Run `uv WORDS`.

        Raises:
            Problem: `failed` with uv's last lines; exit 4 when they speak of network or disk.
        """
        done = work(
            [uv_program(), *words, *(["--offline"] if self.offline else [])],
            log=self.log,
            env={**os.environ, **self.variables},
            on_line=self.on_line,
        )
        if done.code == 0:
            return
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        tail = lines[-TAIL_LINES:]
        elsewhere = any(word in line.lower() for line in tail for word in NOT_OURS)
        raise Problem(
            failed,
            causes=(*tail, f"log: {self.log}"),
            exit_code=ExitCode.UNREACHABLE if elsewhere else ExitCode.FAILED,
        )


def resolve_as_of(
    resolve: Callable[..., None], uv: Uv, published: str | None, on_note: Callable[[str], None]
) -> Uv:
    """Resolve as of the release's day where the index knows days; else as of today, aloud.

    `resolve(client, *options)` raises Problem where there is no solution; the client that found one
    is returned. Files without an upload date count as newer than any day. An extra index that gives
    none hides the main index's dated files of the same version, so the first try leaves extra
    indexes out.
    """
    if published is None:
        on_note("the day of this tree is not known: unbounded requirements resolve as of today")
        resolve(uv)
        return uv
    for client in (uv.without_extra_indexes(), uv):
        try:
            resolve(client, "--exclude-newer", published)
        except Problem as problem:
            if problem.exit_code is ExitCode.UNREACHABLE:
                raise
        else:
            return client
    on_note(f"no solution as of {published[:10]}: unbounded requirements resolve as of today")
    resolve(uv)
    return uv
