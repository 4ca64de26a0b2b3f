"""A package index of our own, on this machine, that a test can make misbehave."""

import base64
import hashlib
import io
import json
import re
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

VERSION = "0.0.1"
NAME = f"vllm-{VERSION}.tar.gz"
TINY = Path(__file__).parents[1] / "trees" / "tiny"


@dataclass
class Index:
    """A package index with one project; a test changes its fields to make it misbehave."""

    files: dict[str, bytes]
    """By name; in the beginning the tiny tree's sdist."""
    port: int = 0
    page: bytes | None = None
    sha256: str | None = ""
    cuts: list[int] = field(default_factory=list)
    """Bytes after which the next downloads are cut off, one after the other."""
    failures: list[int] = field(default_factory=list)
    """Statuses of the next answers."""
    ranges: bool = True
    missing: frozenset[str] = frozenset()
    yanked: frozenset[str] = frozenset()
    user: str | None = None
    gate: threading.Event = field(default_factory=threading.Event)
    """Downloads wait in their middle until it is set."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of every request."""

    def url(self, user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.port}/simple"

    def project(self) -> bytes:
        if self.page is not None:
            return self.page
        files = [
            {
                "filename": name,
                "url": f"../../files/{name}",
                "hashes": {} if self.sha256 is None else {"sha256": self.sha256 or digest(data)},
                "size": len(data),
                "yanked": name in self.yanked,
                "upload-time": "2025-06-01T00:00:00.000000Z",
            }
            for name, data in self.files.items()
        ]
        page = {"meta": {"api-version": "1.1"}, "name": "vllm", "versions": [], "files": files}
        return json.dumps(page).encode()

    @property
    def sdist(self) -> bytes:
        return self.files[NAME]

    @property
    def downloads(self) -> list[str | None]:
        """The Range of each request for a file."""
        return [span for path, span in self.asked if path.startswith("/files/")]


class Server(ThreadingHTTPServer):
    """Serves the `index` of the running test."""

    index: Index

    def handle_error(self, *_: object) -> None:
        """A client that was killed hung up: that is the test."""


class Answer(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        index = self.server.index
        span = self.headers.get("Range")
        index.asked.append((self.path, span))
        if index.user is not None:
            token = base64.b64encode(index.user.encode()).decode()
            if self.headers.get("Authorization") != f"Basic {token}":
                self._send(401, b"")
                return
        if index.failures:
            self._send(index.failures.pop(0), b"")
        elif self.path in index.missing or not self.path.startswith(("/simple/vllm", "/files/")):
            self._send(404, b"")
        elif self.path.startswith("/simple/vllm"):
            self._send(200, index.project())
        else:
            self._send_file(index, index.files[self.path.removeprefix("/files/")], span)

    def _send_file(self, index: Index, data: bytes, span: str | None) -> None:
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", span or "") if index.ranges else None
        start = int(match[1]) if match else 0
        if start and start >= len(data):
            self._send(416, b"")
            return
        body = data[start : int(match[2]) + 1] if match and match[2] else data[start:]
        cut = index.cuts.pop(0) if index.cuts else None
        self._send(206 if match else 200, body, stop=cut)

    def _send(self, status: int, body: bytes, *, stop: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if stop is not None:
            self.wfile.write(body[:stop])
            self.close_connection = True
            return
        half = len(body) // 2 if self.path.startswith("/files/") else len(body)
        self.wfile.write(body[:half])
        self.wfile.flush()
        if half < len(body):
            self.server.index.gate.wait(60)
            self.wfile.write(body[half:])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(scope="session")
def tiny_sdist() -> bytes:
    """The tiny tree as its sdist."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as tar:
        tar.add(TINY, f"vllm-{VERSION}")
    return held.getvalue()


@pytest.fixture(scope="session")
def index_server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def index(tiny_sdist: bytes, index_server: Server) -> Iterator[Index]:
    """An index that behaves, until the test says otherwise."""
    made = Index({NAME: tiny_sdist}, index_server.server_address[1])
    made.gate.set()
    index_server.index = made
    yield made
    made.gate.set()
