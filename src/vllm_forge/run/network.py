"""The one door to the network: shut when offline, and nothing behind it loaded until it is used."""

from collections.abc import Container
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from vllm_forge.records.problem import ExitCode, Problem

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from vllm_forge.run.urls import Http


class Network:
    """The real `records.doors.ReadUrl`."""

    def __init__(self, *, offline: bool = False) -> None:
        self._offline = offline
        self._http: Http | None = None

    def __call__(
        self,
        url: str,
        *,
        accept: str | None = None,
        start: int | None = None,
        stop: int | None = None,
    ) -> bytes:
        from vllm_forge.run.urls import HTTP_OK, read_all  # noqa: PLC0415 -- only when asked

        with self.open(url, accept=accept, start=start, stop=stop) as response:
            data = read_all(url, response)
        if start is not None and response.status == HTTP_OK:  # the server ignored the range
            return data[start:stop]
        return data

    def open(
        self,
        url: str,
        *,
        accept: str | None = None,
        start: int | None = None,
        stop: int | None = None,
        accepted: Container[int] = (),
    ) -> "BaseHTTPResponse":
        """Start a GET; the caller reads the body. Error statuses in `accepted` come back as well.

        Raises:
            Problem: exit 4 when offline, out of reach, or answered with another error status.
        """
        if self._offline:
            raise Problem(
                f"{urlsplit(url).hostname or url} was not asked: --offline",
                hints=("run once without --offline; what is fetched is kept",),
                exit_code=ExitCode.UNREACHABLE,
            )
        from vllm_forge.run.urls import Http  # noqa: PLC0415 -- urllib3 is a tenth of a plan

        if self._http is None:
            self._http = Http()
        return self._http.open(url, accept=accept, start=start, stop=stop, accepted=accepted)
