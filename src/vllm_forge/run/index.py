"""The package index: which one pip and uv are configured with, and what it offers.

No index is written into this program. What nobody configured is what uv itself falls back to, read
from its own help.
"""

import configparser
import re
import ssl
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urljoin

import msgspec
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version

from vllm_forge.records.doors import ReadUrl, RunCommand
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.uv import uv_program

SIMPLE_JSON: Final = "application/vnd.pypi.simple.v1+json"
"""PEP 691."""


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """`source` says where `url` was read. `extra` and `find_links` come from pip's settings only;
    uv reads its own by itself. `certificate` is a bundle that pip trusts. `given_links` are folders
    that the command line names.
    """  # noqa: D205 -- three facts, no headline

    url: str
    source: str
    extra: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    certificate: str | None = None
    given_links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexFile:
    """One file of a project. `url` is absolute; `sha256` hex; `size` bytes where the index says."""

    filename: str
    url: str
    sha256: str | None
    size: int | None
    requires_python: str | None
    uploaded: str | None
    yanked: bool

    @property
    def version(self) -> Version | None:
        """None for a file whose name follows no rule."""
        try:
            if self.filename.endswith(".whl"):
                return parse_wheel_filename(self.filename)[1]
            return parse_sdist_filename(self.filename)[1]
        except (InvalidWheelFilename, InvalidSdistFilename):
            return None


class _File(msgspec.Struct, rename="kebab"):
    filename: str
    url: str
    hashes: dict[str, str] = {}
    size: int | None = None
    requires_python: str | None = None
    upload_time: str | None = None
    yanked: bool | str = False


class _Project(msgspec.Struct):
    files: Annotated[list[_File], msgspec.Meta()]


def read_index_settings(
    environ: Mapping[str, str], run: RunCommand, *, home: Path | None = None
) -> IndexSettings:
    """Uv's own variables and files win, then pip's, then uv's default."""
    pip = _read_pip_settings(environ, home or Path.home())
    extra = tuple(_words(environ.get("PIP_EXTRA_INDEX_URL") or pip.get("extra-index-url", "")))
    links = tuple(_words(environ.get("PIP_FIND_LINKS") or pip.get("find-links", "")))
    certificate = environ.get("PIP_CERT") or pip.get("cert")
    for url, source in (
        (environ.get("UV_DEFAULT_INDEX"), "UV_DEFAULT_INDEX"),
        (environ.get("UV_INDEX_URL"), "UV_INDEX_URL"),
        _read_uv_default(environ, home or Path.home()),
        (environ.get("PIP_INDEX_URL"), "PIP_INDEX_URL"),
        (pip.get("index-url"), pip.get("index-url-source", "pip.conf")),
    ):
        if url:
            return IndexSettings(url.rstrip("/"), source, extra, links, certificate)
    return IndexSettings(_read_builtin_default(run), "uv's default", extra, links, certificate)


def uv_environment(settings: IndexSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """Variables that make uv see what pip sees; those the user set for uv stay as they are.

    pip takes the best version among all its indexes, uv by default the first index that knows the
    name: for indexes configured for pip, pip's rule is kept.
    """
    variables: dict[str, str] = {}
    if settings.source not in {"uv's default", "UV_DEFAULT_INDEX", "UV_INDEX_URL"}:
        variables["UV_DEFAULT_INDEX"] = settings.url
    extra = [url for url in settings.extra if _exists(url)]
    if extra and "UV_INDEX" not in environ:
        variables["UV_INDEX"] = " ".join(extra)
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    links = [place for place in settings.find_links if _exists(place)]
    configured = environ.get("UV_FIND_LINKS") or ",".join(links)
    if configured or settings.given_links:
        every = (*settings.given_links, *([configured] if configured else []))
        variables["UV_FIND_LINKS"] = ",".join(every)
    if settings.certificate and "SSL_CERT_FILE" not in environ:
        variables["SSL_CERT_FILE"] = settings.certificate
    elif "SSL_CERT_FILE" not in environ and _has_system_certificates():
        # Where a proxy signs with its own authority, the system knows it and uv's bundle does not.
        variables["UV_SYSTEM_CERTS"] = "1"
    return variables


def _has_system_certificates() -> bool:
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile) or any(Path(paths.openssl_capath).glob("*.0"))


def read_project(name: str, settings: IndexSettings, read_url: ReadUrl) -> tuple[IndexFile, ...]:
    """Every file the index offers for `name`.

    Raises:
        Problem: exit 4 when the index cannot be asked or does not answer PEP 691 JSON.
    """
    page = f"{settings.url}/{canonicalize_name(name)}/"
    answer = read_url(page, accept=SIMPLE_JSON)
    try:
        project = msgspec.json.decode(answer, type=_Project)
    except msgspec.DecodeError as error:
        raise Problem(
            f"the package index does not answer in JSON for {name}",
            causes=(f"{settings.source}: {error}",),
            hints=("use an index that serves the JSON simple API (PEP 691)",),
            exit_code=ExitCode.UNREACHABLE,
        ) from error
    return tuple(
        IndexFile(
            filename=file.filename,
            url=urljoin(page, file.url),
            sha256=file.hashes.get("sha256"),
            size=file.size,
            requires_python=file.requires_python,
            uploaded=file.upload_time,
            yanked=bool(file.yanked),
        )
        for file in project.files
    )


def _words(text: str) -> list[str]:
    return text.split()


def _exists(place: str) -> bool:
    if place.startswith("file://"):
        return Path(place.removeprefix("file://")).is_dir()
    return "://" in place or Path(place).exists()


def _read_pip_settings(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """Pip's [global] (and [install]) settings, later files winning, as pip's documentation orders
    them: global, user, PIP_CONFIG_FILE.
    """  # noqa: D205 -- one sentence
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    named = environ.get("PIP_CONFIG_FILE")
    files = [
        Path("/etc/xdg/pip/pip.conf"),
        Path("/etc/pip.conf"),
        home / ".pip" / "pip.conf",
        config / "pip" / "pip.conf",
        *([Path(named)] if named else []),
    ]
    found: dict[str, str] = {}
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                settings = dict(parser.items(section))
                found |= settings
                if "index-url" in settings:
                    found["index-url-source"] = str(file)
    return found


def _read_uv_default(environ: Mapping[str, str], home: Path) -> tuple[str | None, str]:
    named = environ.get("UV_CONFIG_FILE")
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    for file in (Path(named) if named else config / "uv" / "uv.toml", Path("/etc/uv/uv.toml")):
        try:
            settings = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError):
            continue
        pip = settings.get("pip", {})
        for index in settings.get("index", []):
            if index.get("default"):
                return index.get("url"), str(file)
        url = settings.get("index-url") or pip.get("index-url")
        if url:
            return url, str(file)
    return None, ""


def _read_builtin_default(run: RunCommand) -> str:
    said = run([uv_program(), "pip", "install", "--help"]).stdout
    match = re.search(r"\(by\s+default:\s+<(\S+?)>\)", said)
    if match is None:
        raise Problem(
            "no package index is configured, and uv names no default",
            hints=("set UV_DEFAULT_INDEX or PIP_INDEX_URL to your index",),
            exit_code=ExitCode.UNREACHABLE,
        )
    return match[1].rstrip("/")
