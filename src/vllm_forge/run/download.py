"""Fetch one file whole: hash-checked, resumed where a cut-off left it."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import urllib3

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.files import sha256_of
from vllm_forge.run.network import HTTP_OK, Network, host_of, unreachable

CHUNK = 1 << 18


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
    if to.exists() and sha256_of(to) == sha256:
        return to
    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_name(f"{to.name}.part")
    done = part.stat().st_size if part.exists() else 0
    if not (done and sha256_of(part) == sha256):
        _fetch(url, part, done, network, on_progress)
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
    url: str,
    part: Path,
    done: int,
    network: Network,
    on_progress: Callable[[int, int | None], None],
) -> None:
    with network.open(url, start=done or None) as response:
        if done and response.status == HTTP_OK:  # the server ignored the range: from the start
            done = 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        with part.open("ab" if done else "wb") as out:
            try:
                for chunk in response.stream(CHUNK, decode_content=False):
                    out.write(chunk)
                    done += len(chunk)
                    on_progress(done, total)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise unreachable(url, error) from error
    if total is not None and done < total:
        raise Problem(
            f"{part.name.removesuffix('.part')} was cut off after {done} of {total} bytes",
            hints=("run the same command again: it continues from there",),
            exit_code=ExitCode.UNREACHABLE,
        )


def bytes_digest(data: bytes) -> str:
    """Sha256 of bytes, hex."""
    return hashlib.sha256(data).hexdigest()
