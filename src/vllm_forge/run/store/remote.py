"""A store behind a URL: WebDAV or plain HTTP, S3, Redis; spoken by Apache OpenDAL."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlencode, urlsplit

from vllm_forge.records.problem import ExitCode, Problem

ANSWER_SECONDS: Final = 5.0
"""Until a server that says nothing is left out."""

SLOWEST: Final = 2 << 20
"""Bytes a second below which a store is no help: compiling is the other way."""

T = TypeVar("T")


class RemoteLayer:
    """The real `Layer` over an OpenDAL operator. Whatever it raises comes back as OSError."""

    def __init__(self, operator: Any, label: str, *, writable: bool) -> None:  # noqa: ANN401 -- optional
        self._operator = operator
        self.label = label
        self.writable = writable

    def read(self, name: str) -> bytes | None:
        return self._ask(lambda: bytes(self._operator.read(name)), 0)

    def write(self, name: str, data: bytes) -> None:
        self._ask(lambda: self._operator.write(name, data), len(data))

    def fetch(self, name: str, into: Path, size: int) -> bool:
        data = self._ask(lambda: bytes(self._operator.read(name)), size)
        if data is None:
            return False
        into.write_bytes(data)
        into.chmod(0o555)
        return True

    def send(self, name: str, file: Path) -> None:
        if not self._ask(lambda: bool(self._operator.exists(name)), 0):
            self.write(name, file.read_bytes())

    def discard(self, name: str) -> None:
        self._ask(lambda: self._operator.delete(name), 0)

    def used(self, name: str) -> None:
        """The server has its own way of telling (S3's lifecycle, Redis' eviction)."""

    def _ask(self, act: Callable[[], T], size: int) -> T | None:
        """None for what is not there."""
        try:
            return within(ANSWER_SECONDS + size / SLOWEST, act)
        except OSError:
            raise
        except Exception as error:
            if type(error).__name__ == "NotFound":
                return None
            raise OSError(said_first(error)) from error


def open_remote(url: str, options: Mapping[str, str], *, writable: bool) -> RemoteLayer:
    """`options` are OpenDAL's for the service (`region`, `endpoint`), as it documents them.

    Raises:
        Problem: exit 2 where OpenDAL is not installed, or refuses the options.
    """
    try:
        import opendal  # noqa: PLC0415 -- an optional library of 40 MB
        from opendal.layers import TimeoutLayer  # noqa: PLC0415
    except ImportError as error:
        raise Problem(
            f"--store {label_of(url)}: OpenDAL, which speaks to it, is not installed",
            hints=("python3 -m pip install 'vllm-forge[remote]'",),
            exit_code=ExitCode.USAGE,
        ) from error
    try:
        operator = (
            opendal.Operator("webdav" if writable else "http", **web_options(url), **options)
            if urlsplit(url).scheme in {"http", "https", "webdav", "webdavs"}
            else opendal.Operator.from_uri(f"{url}?{urlencode(options)}")
        )
    except Exception as error:
        raise Problem(
            f"--store {label_of(url)}: {said_first(error)}", exit_code=ExitCode.USAGE
        ) from error
    patient = operator.layer(TimeoutLayer(timeout=ANSWER_SECONDS, io_timeout=ANSWER_SECONDS))
    return RemoteLayer(patient, label_of(url), writable=writable)


def web_options(url: str) -> dict[str, str]:
    """Endpoint, root and credentials of a web server's folder.

    >>> web_options("webdav://me:secret@host:8080/a/b")
    {'endpoint': 'http://host:8080', 'root': '/a/b', 'username': 'me', 'password': 'secret'}
    """
    parts = urlsplit(url)
    scheme = {"webdav": "http", "webdavs": "https"}.get(parts.scheme, parts.scheme)
    found = {
        "endpoint": f"{scheme}://{parts.netloc.rpartition('@')[2]}",
        "root": parts.path or "/",
    }
    if parts.username is not None:
        found["username"] = unquote(parts.username)
    if parts.password is not None:
        found["password"] = unquote(parts.password)
    return found


def label_of(url: str) -> str:
    """Without user name and password.

    >>> label_of("https://me:secret@host/a")
    'https://host/a'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def said_first(error: Exception) -> str:
    """OpenDAL's message ends in a backtrace; the cause stands after `Source:`."""
    lines = [line.strip() for line in str(error).splitlines()]
    source = lines[lines.index("Source:") + 1 :][:1] if "Source:" in lines else []
    return ": ".join([*lines[:1], *source]) or type(error).__name__


def within(seconds: float, act: Callable[[], T]) -> T:
    """Do it in a thread, and leave that alone when it takes too long.

    A server that sends a byte now and then would pass any timeout between two of them.

    Raises:
        TimeoutError: it takes longer.
    """
    answer: list[T] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            answer.append(act())
        except BaseException as error:  # noqa: BLE001 -- raised again by the caller
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not answer:
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    return answer[0]
