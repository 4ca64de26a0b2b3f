"""Which layers there are: the home's own folder, then those the user names."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

from vllm_forge.records.home import Home
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.store.digests import Digests
from vllm_forge.run.store.folder import FolderLayer
from vllm_forge.run.store.layer import Layer
from vllm_forge.run.store.store import Store

VARIABLE: Final = "VLLM_FORGE_STORE"
NONE: Final = "none"
SCHEMES: Final = ("http", "https", "webdav", "webdavs", "s3", "redis", "rediss")


def open_store(
    home: Home,
    named: str | None,
    environ: Mapping[str, str],
    *,
    note: Callable[[str], None],
    only_folders: bool,
) -> Store:
    """`named` is --store, else VLLM_FORGE_STORE: folders and URLs in their order, or `none`.

    With `only_folders` (--offline) URLs are left out.

    Raises:
        Problem: exit 2 for what is neither, or for a URL whose library is not installed.
    """
    words = split_words(named if named is not None else environ.get(VARIABLE, ""))
    if words == [NONE]:
        return Store()
    kept = [word for word in words if not (only_folders and is_url(word))]
    layers = [FolderLayer(home.store), *(open_layer(word) for word in kept)]
    return Store(layers, note, Digests(home.digests))


def is_url(word: str) -> bool:
    return urlsplit(word).scheme not in {"", "file"}


def split_words(text: str) -> list[str]:
    """Separated by white space or commas.

    >>> split_words("/a, s3://b/c?mode=ro")
    ['/a', 's3://b/c?mode=ro']
    """
    return [word for word in re.split(r"[\s,]+", text) if word]


def open_layer(word: str) -> Layer:
    """A folder, `file://` or any of `SCHEMES`; `?mode=ro` only reads."""
    url = urlsplit(word)
    options = {name: values[-1] for name, values in parse_qs(url.query).items()}
    mode = options.pop("mode", "rw")
    if mode not in {"ro", "rw"}:
        raise Problem(f"--store {word}: mode={mode} is neither ro nor rw", exit_code=ExitCode.USAGE)
    if not is_url(word):
        path = Path(url.path).expanduser().absolute()
        return FolderLayer(path, writable=mode == "rw")
    if url.scheme not in SCHEMES:
        raise Problem(
            f"--store {word}: {url.scheme}:// is not known",
            hints=(f"a folder, or one of {', '.join(f'{one}://' for one in SCHEMES)}",),
            exit_code=ExitCode.USAGE,
        )
    from vllm_forge.run.store.remote import open_remote  # noqa: PLC0415 -- an optional library

    plain = urlunsplit((url.scheme, url.netloc, url.path, "", ""))
    return open_remote(plain, options, writable=mode == "rw")
