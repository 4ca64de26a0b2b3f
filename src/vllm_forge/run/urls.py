"""HTTP by urllib3: retries, time-outs, proxies, certificates, credentials.

Only `run/network.py` opens it, at the first question: a plan that asks nobody need not load it.
"""

import os
import ssl
from collections.abc import Container
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Final
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

import urllib3

from vllm_forge.records.problem import ExitCode, Problem

RETRIES: Final = urllib3.Retry(total=4, backoff_factor=0.3, status_forcelist=(502, 503, 504))
TIMEOUT: Final = urllib3.Timeout(connect=10, read=60)
CERTIFICATE_VARIABLES: Final = ("PIP_CERT", "REQUESTS_CA_BUNDLE")


def open_pool(proxy: str | None) -> urllib3.PoolManager:
    """A connection pool that trusts what the user's package clients trust."""
    context = ssl.create_default_context()  # has read SSL_CERT_FILE already
    bundles = {os.environ.get(variable) for variable in CERTIFICATE_VARIABLES}
    for bundle in bundles - {os.environ.get("SSL_CERT_FILE")}:
        if bundle and Path(bundle).is_file():
            context.load_verify_locations(bundle)
    if proxy is None:
        return urllib3.PoolManager(ssl_context=context, retries=RETRIES, timeout=TIMEOUT)
    return urllib3.ProxyManager(
        proxy,
        proxy_headers=urllib3.make_headers(proxy_basic_auth=credentials_in(proxy)),
        ssl_context=context,
        retries=RETRIES,
        timeout=TIMEOUT,
    )


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for `url`; hosts in NO_PROXY are asked directly."""
    place = urllib3.util.parse_url(url)
    if place.host is None or proxy_bypass(place.netloc or place.host):
        return None
    proxies = getproxies()
    return proxies.get(place.scheme or "https") or proxies.get("all")


def credentials_in(url: str) -> str | None:
    """The `user:password` that a URL carries."""
    auth = urllib3.util.parse_url(url).auth
    return None if auth is None else unquote(auth)


class Http:
    """GET over connection pools, one for each proxy.

    Credentials are those in the URL of the host's first question, as an index's URL may carry them,
    else those of ~/.netrc: both as pip and uv take them.
    """

    def __init__(self) -> None:
        self._pools: dict[str | None, urllib3.PoolManager] = {}
        self._credentials: dict[str, str | None] = {}

    def open(
        self,
        url: str,
        *,
        accept: str | None = None,
        start: int | None = None,
        stop: int | None = None,
        accepted: Container[int] = (),
    ) -> urllib3.BaseHTTPResponse:
        """Start a GET; the caller reads the body. Error statuses in `accepted` are returned, too.

        Raises:
            Problem: exit 4 when out of reach, or answered with another error status.
        """
        headers = {"User-Agent": "vllm-forge"}
        if accept:
            headers["Accept"] = accept
        if start is not None:
            headers["Range"] = f"bytes={start}-{'' if stop is None else stop - 1}"
            headers["Accept-Encoding"] = "identity"
        headers |= urllib3.make_headers(basic_auth=self._credentials_for(url))
        try:
            response = self._pool_for(url).request(
                "GET", url, headers=headers, preload_content=False
            )
        except urllib3.exceptions.HTTPError as error:
            raise unreachable(url, error) from error
        if response.status >= HTTP_ERRORS and response.status not in accepted:
            response.close()
            raise Problem(
                f"{host_of(url)} answered {response.status} for {path_of(url)}",
                exit_code=ExitCode.UNREACHABLE,
            )
        return response

    def _pool_for(self, url: str) -> urllib3.PoolManager:
        proxy = proxy_for(url)
        if proxy not in self._pools:
            self._pools[proxy] = open_pool(proxy)
        return self._pools[proxy]

    def _credentials_for(self, url: str) -> str | None:
        host = host_of(url)
        if host not in self._credentials:
            self._credentials[host] = credentials_in(url) or read_netrc(host)
        return self._credentials[host]


def read_all(url: str, response: urllib3.BaseHTTPResponse) -> bytes:
    """The whole body.

    Raises:
        Problem: exit 4 when it is cut off.
    """
    try:
        return response.read()
    except urllib3.exceptions.HTTPError as error:
        raise unreachable(url, error) from error


def read_netrc(host: str) -> str | None:
    """`user:password` for `host` from $NETRC or ~/.netrc; None where it says nothing readable."""
    try:
        known = netrc(os.environ.get("NETRC")).authenticators(host)
    except (OSError, NetrcParseError):
        return None
    return None if known is None else f"{known[0]}:{known[2]}"


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
