"""A WebDAV server over a folder, as much as a store asks for; it can be slow, or be gone."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest

ANSWER = """<?xml version="1.0"?><d:multistatus xmlns:d="DAV:"><d:response><d:href>{href}</d:href>
<d:propstat><d:prop><d:resourcetype>{kind}</d:resourcetype>
<d:getcontentlength>{size}</d:getcontentlength>
<d:getlastmodified>Wed, 25 Nov 2026 12:00:00 GMT</d:getlastmodified></d:prop>
<d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response></d:multistatus>"""


@dataclass
class WebDav:
    """`asked` are the requests so far; `delay` seconds pass before each answer."""

    folder: Path
    server: ThreadingHTTPServer | None = None
    asked: list[str] = field(default_factory=list)
    delay: float = 0.0
    gone: bool = False

    @property
    def url(self) -> str:
        assert self.server is not None
        return f"http://127.0.0.1:{self.server.server_port}/cache"

    def stop(self) -> None:
        """Gone: connections are refused from now on, and those that were kept open are closed."""
        self.gone = True
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    webdav: WebDav
    """Set by a class made for one server."""

    def parse_request(self) -> bool:
        """A kept connection outlives the server: it gets no answer."""
        if self.webdav.gone:
            self.close_connection = True
            return False
        return super().parse_request()

    def log_message(self, *_words: object) -> None: ...

    def do_GET(self) -> None:
        path = self._at()
        if path.is_file():
            self._answer(HTTPStatus.OK, path.read_bytes())
        else:
            self._answer(HTTPStatus.NOT_FOUND)

    def do_PUT(self) -> None:
        path = self._at()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not path.parent.is_dir():
            self._answer(HTTPStatus.CONFLICT)
            return
        path.write_bytes(body)
        self._answer(HTTPStatus.CREATED)

    def do_MKCOL(self) -> None:
        self._at().mkdir(exist_ok=True)
        self._answer(HTTPStatus.CREATED)

    def do_DELETE(self) -> None:
        self._at().unlink(missing_ok=True)
        self._answer(HTTPStatus.NO_CONTENT)

    def do_PROPFIND(self) -> None:
        path = self._at()
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not path.exists():
            self._answer(HTTPStatus.NOT_FOUND)
            return
        kind = "<d:collection/>" if path.is_dir() else ""
        said = ANSWER.format(href=self.path, kind=kind, size=path.stat().st_size)
        self._answer(HTTPStatus.MULTI_STATUS, said.encode())

    def _at(self) -> Path:
        self.webdav.asked.append(f"{self.command} {self.path}")
        time.sleep(self.webdav.delay)
        return self.webdav.folder / unquote(self.path).strip("/")

    def _answer(self, status: HTTPStatus, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def make_webdav(tmp_path: Path) -> Iterator[Callable[[], WebDav]]:
    """Servers that are gone when the test ends."""
    made: list[WebDav] = []

    def make() -> WebDav:
        webdav = WebDav(tmp_path / f"served{len(made)}")
        (webdav.folder / "cache").mkdir(parents=True)
        handler = type("Handling", (Handler,), {"webdav": webdav})
        webdav.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=webdav.server.serve_forever, daemon=True).start()
        made.append(webdav)
        return webdav

    yield make
    for webdav in made:
        webdav.stop()
