"""Fetch one file whole: hash-checked, resumed where a cut-off left it."""

from collections.abc import Callable
from pathlib import Path

import urllib3

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.files import sha256_of
from vllm_forge.run.lock import locked
from vllm_forge.run.network import Network
from vllm_forge.run.urls import host_of

CHUNK = 1 << 18
PARTIAL = 206
PAST_THE_END = 416
"""HTTP statuses that answer a range request."""


def download(
    url: str,
    to: Path,
    *,
    sha256: str,
    network: Network,
    on_progress: Callable[[int, int | None], None] = lambda _done, _total: None,
) -> Path:
    """Return `to` holding exactly the bytes with that digest.

    The part that came is kept as `to`.part and continued by a range request the next time.
    `on_progress(done, total)` in bytes.

    Raises:
        Problem: exit 4 when cut off, or when the digest is another one (the part is then dropped).
    """
    to.parent.mkdir(parents=True, exist_ok=True)
    with locked(to.with_name(f".{to.name}.lock"), on_wait=lambda _message: None):
        if to.exists() and sha256_of(to) == sha256:
            return to
        part = to.with_name(f"{to.name}.part")
        if not (part.exists() and sha256_of(part) == sha256):
            resumed = _fetch(url, part, network, on_progress)
            if resumed and sha256_of(part) != sha256:  # what lay there was of another file
                part.unlink()
                _fetch(url, part, network, on_progress)
        digest = sha256_of(part)
        if digest != sha256:
            part.unlink()
            raise Problem(
                f"{to.name} from {host_of(url)} has another sha256 than the index says",
                causes=(f"expected {sha256}", f"received {digest}"),
                hints=("try again; if it stays so, the index or a proxy alters the file",),
                exit_code=ExitCode.UNREACHABLE,
            )
        part.replace(to)
    return to


def _fetch(
    url: str, part: Path, network: Network, on_progress: Callable[[int, int | None], None]
) -> bool:
    """Bring `part` to its end; returns whether bytes that lay there before were kept."""
    done = part.stat().st_size if part.exists() else 0
    accepted = {PAST_THE_END} if done else frozenset[int]()
    with network.open(url, start=done or None, accepted=accepted) as response:
        if response.status == PAST_THE_END:
            return True
        resumed = done > 0 and response.status == PARTIAL
        if not resumed:  # nothing was there, or the server ignored the range
            done = 0
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdecimal() else None
        with part.open("ab" if resumed else "wb") as out:
            try:
                for chunk in response.stream(CHUNK, decode_content=False):
                    out.write(chunk)
                    done += len(chunk)
                    on_progress(done, total)
            except urllib3.exceptions.HTTPError as error:
                raise Problem(
                    f"{part.name.removesuffix('.part')} was cut off after {done} of {total} bytes",
                    causes=(str(error),),
                    hints=("run the same command again: it continues from there",),
                    exit_code=ExitCode.UNREACHABLE,
                ) from error
            except OSError as error:
                raise Problem(
                    f"{part} could not be written: {error.strerror}",
                    exit_code=ExitCode.UNREACHABLE,
                ) from error
    return resumed
