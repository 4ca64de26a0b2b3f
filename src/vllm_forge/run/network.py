"""The one door to the network."""

import os
import ssl
from pathlib import Path
from typing import Final

import urllib3

from vllm_forge.records.problem import ExitCode, Problem

RETRIES: Final = urllib3.Retry(total=4, backoff_factor=0.3, status_forcelist=(502, 503, 504))
TIMEOUT: Final = urllib3.Timeout(connect=10, read=60)
CERTIFICATE_VARIABLES: Final = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")


def open_pool() -> urllib3.PoolManager:
    """A connection pool that trusts what the user's package clients trust, proxies included."""
    context = ssl.create_default_context()
    for variable in CERTIFICATE_VARIABLES:
        bundle = os.environ.get(variable)
        if bundle and Path(bundle).is_file():
            context.load_verify_locations(bundle)
    proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy")
    if proxy:
        return urllib3.ProxyManager(proxy, ssl_context=context, retries=RETRIES, timeout=TIMEOUT)
    return urllib3.PoolManager(ssl_context=context, retries=RETRIES, timeout=TIMEOUT)


class Network:
    """The real `records.doors.ReadUrl`; the pool is opened at the first question.

    `file://` URLs are read from disk: an index may be a folder.
    """

    def __init__(self, *, offline: bool = False) -> None:
        self._offline = offline
        self._pool: urllib3.PoolManager | None = None

    def __call__(
        self,
        url: str,
        *,
        accept: str | None = None,
        start: int | None = None,
        stop: int | None = None,
    ) -> bytes:
        with self.open(url, accept=accept, start=start, stop=stop) as response:
            try:
                data = response.read()
            except urllib3.exceptions.HTTPError as error:
                raise unreachable(url, error) from error
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
    ) -> urllib3.BaseHTTPResponse:
        """Start a GET; the caller reads the body.

        Raises:
            Problem: exit 4 when offline, out of reach, or answered with an error status.
        """
        if self._offline:
            raise Problem(
                f"{host_of(url)} was not asked: --offline",
                hints=("run once without --offline; what is fetched is kept",),
                exit_code=ExitCode.UNREACHABLE,
            )
        headers = {"User-Agent": "vllm-forge"}
        if accept:
            headers["Accept"] = accept
        if start is not None:
            headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
            headers["Accept-Encoding"] = "identity"
        if self._pool is None:
            self._pool = open_pool()
        try:
            response = self._pool.request("GET", url, headers=headers, preload_content=False)
        except urllib3.exceptions.HTTPError as error:
            raise unreachable(url, error) from error
        if response.status >= HTTP_ERRORS:
            response.close()
            raise Problem(
                f"{host_of(url)} answered {response.status} for {path_of(url)}",
                exit_code=ExitCode.UNREACHABLE,
            )
        return response


HTTP_OK: Final = 200
HTTP_ERRORS: Final = 400


def host_of(url: str) -> str:
    return urllib3.util.parse_url(url).host or url


def path_of(url: str) -> str:
    return urllib3.util.parse_url(url).path or "/"


def unreachable(url: str, error: Exception) -> Problem:
    return Problem(
        f"{host_of(url)} cannot be reached",
        causes=(str(getattr(error, "reason", None) or error),),
        hints=(
            "check the network, the proxy, and the index pip is configured with (pip config list)",
        ),
        exit_code=ExitCode.UNREACHABLE,
    )
