"""Which index: uv's own words win, then pip's, then what uv falls back to."""

from pathlib import Path

import pytest

from vllm_forge.records.doors import Completed
from vllm_forge.records.problem import Problem
from vllm_forge.run.index import IndexFile, IndexSettings, read_index_settings, uv_environment
from vllm_forge.run.process import run_command


@pytest.fixture
def home(tmp_path: Path) -> Path:
    config = tmp_path / ".config"
    (config / "pip").mkdir(parents=True)
    (config / "uv").mkdir()
    (config / "pip" / "pip.conf").write_text(
        "[global]\nindex-url = https://pip.conf/simple/\nextra-index-url =\n"
        "  https://more/a\n  https://more/b\ncert = /c.pem\n"
    )
    (config / "uv" / "uv.toml").write_text('index-url = "https://uv.toml/simple"\n')
    return tmp_path


ORDER = ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "uv.toml", "PIP_INDEX_URL", "pip.conf"]


@pytest.mark.parametrize("place", range(len(ORDER)))
def test_the_order(home: Path, place: int) -> None:
    environ = {name: f"https://{name.lower()}/simple" for name in ORDER[place:] if name.isupper()}
    if place > ORDER.index("uv.toml"):
        (home / ".config" / "uv" / "uv.toml").unlink()
    settings = read_index_settings(environ, run_command, home=home)
    assert settings.url == f"https://{ORDER[place].lower()}/simple"
    assert settings.source.endswith(ORDER[place])
    assert settings.extra == ("https://more/a", "https://more/b")


def test_pips_own_file_is_the_last_word(home: Path, tmp_path: Path) -> None:
    (tmp_path / "named").write_text("[install]\nindex-url = https://named/simple\n")
    environ = {"PIP_CONFIG_FILE": str(tmp_path / "named"), "UV_CONFIG_FILE": "/dev/null"}
    settings = read_index_settings(environ, run_command, home=home)
    assert (settings.url, settings.source) == ("https://named/simple", str(tmp_path / "named"))


@pytest.mark.parametrize("garbage", ["\0", "[global", "index-url = x", "[global]\nindex-url\n"])
def test_a_damaged_file_is_passed_over(home: Path, garbage: str) -> None:
    for name in ("pip/pip.conf", "uv/uv.toml"):
        (home / ".config" / name).write_text(garbage)
    settings = read_index_settings({"PIP_INDEX_URL": "https://x/"}, run_command, home=home)
    assert settings.url == "https://x"


def test_uvs_default_is_read_from_uv(tmp_path: Path) -> None:
    settings = read_index_settings({"XDG_CONFIG_HOME": str(tmp_path)}, run_command, home=tmp_path)
    if settings.source == "uv's default":  # unless this machine configures one for everybody
        assert settings.url.startswith("https://")


def test_a_uv_that_says_nothing(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "UV_CONFIG_FILE": "/dev/null"}
    with pytest.raises(Problem, match="no package index is configured"):
        read_index_settings(environ, lambda *_, **__: Completed(0, "usage", ""), home=tmp_path)


def test_a_default_among_uvs_indexes(home: Path) -> None:
    (home / ".config" / "uv" / "uv.toml").write_text(
        '[[index]]\nurl = "https://extra"\n[[index]]\nurl = "https://default"\ndefault = true\n'
    )
    assert read_index_settings({}, run_command, home=home).url == "https://default"


def test_uv_is_told_what_only_pip_knew(tmp_path: Path) -> None:
    links = tmp_path / "links"
    links.mkdir()
    settings = IndexSettings(
        "https://pip/simple", "pip.conf", ("https://more",), (str(links), "/gone"), "/c.pem"
    )
    told = uv_environment(settings, {})
    assert told["UV_DEFAULT_INDEX"] == "https://pip/simple"
    assert told["UV_INDEX"] == "https://more"
    assert told["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert told["UV_FIND_LINKS"] == str(links)
    assert told["SSL_CERT_FILE"] == "/c.pem"


def test_what_the_user_told_uv_stays() -> None:
    settings = IndexSettings("https://uv/simple", "UV_DEFAULT_INDEX", ("https://more",))
    environ = {"UV_INDEX": "https://mine", "SSL_CERT_FILE": "/mine.pem"}
    assert uv_environment(settings, environ) == {}


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("vllm-0.10.1.tar.gz", "0.10.1"),
        ("vllm-0.10.1-cp38-abi3-manylinux1_x86_64.whl", "0.10.1"),
        ("vllm-0.10.1.tar", None),
        ("vllm.tar.gz", None),
        ("", None),
    ],
)
def test_the_version_of_a_file(name: str, version: str | None) -> None:
    file = IndexFile(name, "", None, None, None, None, yanked=False)
    assert (None if file.version is None else str(file.version)) == version
