"""An sdist from an index of our own, on this machine: everything that can go wrong on the way."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vllm_forge.records.plan import Source
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.index import IndexSettings
from vllm_forge.run.network import Network
from vllm_forge.run.source import find_sdist, obtain_source

if TYPE_CHECKING:
    from tests.support.index import Index

VERSION = "0.0.1"
NAME = f"vllm-{VERSION}.tar.gz"


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("NETRC", "/dev/null")


@pytest.fixture
def obtain(index: "Index", tmp_path: Path) -> Callable[[], Path]:
    """Make the tree once more, with connections of its own."""

    def make() -> Path:
        return obtain_source(
            Source("sdist", str(tmp_path / "sources" / "tree"), version=VERSION),
            downloads=tmp_path / "downloads",
            settings=IndexSettings(index.url(), "the test"),
            network=Network(),
            log=tmp_path / "log",
        )

    return make


def refused(act: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as caught:
        act()
    return caught.value


def kept(folder: Path) -> list[str]:
    """What lies there, locks left out."""
    return sorted(path.name for path in folder.glob("*") if path.suffix != ".lock")


def test_the_tree_is_whole(obtain: Callable[[], Path], tmp_path: Path) -> None:
    tree = obtain()
    assert (tree / "csrc" / "cpu" / "add.cpp").is_file()
    assert kept(tmp_path / "sources") == ["tree"]
    assert kept(tmp_path / "downloads") == [NAME]


def test_what_is_downloaded_is_not_asked_for_again(
    obtain: Callable[[], Path], index: "Index"
) -> None:
    (obtain() / "CMakeLists.txt").unlink()
    assert (obtain() / "CMakeLists.txt").is_file()
    assert index.downloads == [None]


def test_cut_off_it_is_continued(
    obtain: Callable[[], Path], index: "Index", tmp_path: Path
) -> None:
    index.cuts = [1000, 500]
    size = len(index.sdist)
    for done in (1000, 1500):
        problem = refused(obtain)
        assert problem.exit_code is ExitCode.UNREACHABLE
        assert problem.message == f"{NAME} was cut off after {done} of {size} bytes"
        assert kept(tmp_path / "downloads") == [f"{NAME}.part"]
        assert kept(tmp_path / "sources") == []
    obtain()
    assert index.downloads == [None, "bytes=1000-", "bytes=1500-"]


def test_a_server_without_ranges_is_asked_for_the_whole(
    obtain: Callable[[], Path], index: "Index"
) -> None:
    index.cuts, index.ranges = [1000], False
    refused(obtain)
    obtain()
    assert index.downloads == [None, "bytes=1000-"]


@pytest.mark.parametrize("extra", [-500, 0, 500], ids=["shorter", "as long", "longer"])
@pytest.mark.parametrize("ranges", [True, False])
def test_a_part_of_another_file_is_dropped(
    obtain: Callable[[], Path], index: "Index", tmp_path: Path, extra: int, *, ranges: bool
) -> None:
    index.ranges = ranges
    (tmp_path / "downloads").mkdir()
    part = tmp_path / "downloads" / f"{NAME}.part"
    part.write_bytes(b"\0" * (len(index.sdist) + extra))
    obtain()
    assert kept(tmp_path / "downloads") == [NAME]


def test_a_whole_part_needs_no_network(
    obtain: Callable[[], Path], index: "Index", tmp_path: Path
) -> None:
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / f"{NAME}.part").write_bytes(index.sdist)
    obtain()
    assert index.downloads == []


def test_another_hash_than_the_index_says(
    obtain: Callable[[], Path], index: "Index", tmp_path: Path
) -> None:
    index.sha256 = "0" * 64
    problem = refused(obtain)
    assert problem.exit_code is ExitCode.UNREACHABLE
    assert problem.message == f"{NAME} from 127.0.0.1 has another sha256 than the index says"
    assert problem.causes[0] == f"expected {'0' * 64}"
    assert (kept(tmp_path / "downloads"), kept(tmp_path / "sources")) == ([], [])


def test_an_index_without_hashes_is_not_trusted(obtain: Callable[[], Path], index: "Index") -> None:
    index.sha256 = None
    problem = refused(obtain)
    assert problem.exit_code is ExitCode.UNREACHABLE
    assert problem.message == f"the index gives no sha256 for {NAME}"
    assert index.downloads == []


@pytest.mark.parametrize("path", ["/simple/vllm/", f"/files/{NAME}"])
def test_what_is_not_there_is_named(obtain: Callable[[], Path], index: "Index", path: str) -> None:
    index.missing = frozenset({path})
    problem = refused(obtain)
    assert problem.exit_code is ExitCode.UNREACHABLE
    assert problem.message == f"127.0.0.1 answered 404 for {path}"


@pytest.mark.parametrize(
    "page",
    [b"<!DOCTYPE html><a href='x'>x</a>", b"\0\0\0", b"", b'{"files": 3}', b'{"files": [{}]}'],
    ids=["html", "nul", "empty", "no files", "no names"],
)
def test_an_index_that_does_not_speak_json(
    obtain: Callable[[], Path], index: "Index", page: bytes
) -> None:
    index.page = page
    problem = refused(obtain)
    assert problem.exit_code is ExitCode.UNREACHABLE
    assert problem.message == "the package index does not answer in JSON for vllm"
    assert problem.causes[0].startswith("the test: ")


def test_a_moment_of_trouble_is_sat_out(obtain: Callable[[], Path], index: "Index") -> None:
    index.failures = [503]
    obtain()


def test_a_file_name_is_no_path(index: "Index", tmp_path: Path) -> None:
    index.files = {f"../../{NAME}": index.sdist}
    settings = IndexSettings(index.url(), "the test")
    problem = refused(lambda: find_sdist(VERSION, settings, Network()))
    assert problem.exit_code is ExitCode.USAGE
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("wish", "found"),
    [("latest", "8.0.0"), ("7.1", "7.1.0"), ("7.1.0", "7.1.0"), ("8.1.0rc1", "8.1.0rc1")],
)
def test_versions_compare_as_versions(index: "Index", wish: str, found: str) -> None:
    data = index.sdist
    versions = ("7.1.0", "7.1.1", "7.10.0", "8.0.0", "8.1.0rc1")
    index.files = {f"vllm-{version}.tar.gz": data for version in versions}
    index.files["vllm-8.2.0-py3-none-any.whl"] = data
    file = find_sdist(wish, IndexSettings(index.url(), "the test"), Network())
    assert str(file.version) == found


def test_a_yanked_release_is_taken_only_by_its_name(index: "Index") -> None:
    index.files = {f"vllm-{version}.tar.gz": index.sdist for version in ("7.0.0", "7.1.0")}
    index.yanked = frozenset({"vllm-7.1.0.tar.gz"})
    settings = IndexSettings(index.url(), "the test")
    assert find_sdist("latest", settings, Network()).filename == "vllm-7.0.0.tar.gz"
    assert find_sdist("7.1.0", settings, Network()).filename == "vllm-7.1.0.tar.gz"


@pytest.mark.parametrize(
    ("wish", "nearest"), [("7.1.11", "7.1.1, 7.1.0"), ("nothing", "8.0.0, 7.1.1, 7.1.0")]
)
def test_an_unknown_version_names_the_nearest(index: "Index", wish: str, nearest: str) -> None:
    data = index.sdist
    index.files = {f"vllm-{version}.tar.gz": data for version in ("7.1.0", "7.1.1", "8.0.0")}
    settings = IndexSettings(index.url(), "the test")
    problem = refused(lambda: find_sdist(wish, settings, Network()))
    assert problem.exit_code is ExitCode.USAGE
    assert problem.message == f"vLLM {wish} is not on the index; nearest: {nearest}"
    assert problem.hints == (f"--vllm {nearest.split(',', 1)[0]}",)


@pytest.mark.parametrize("wish", ["latest", "9.9.9"])
def test_an_index_without_any_release(index: "Index", wish: str) -> None:
    index.files = {}
    settings = IndexSettings(index.url(), "the test")
    problem = refused(lambda: find_sdist(wish, settings, Network()))
    assert problem.exit_code is ExitCode.USAGE
    assert problem.message == f"vLLM {wish} is not on the index, and no other release is"


def test_credentials_in_the_url_are_used_and_not_shown(index: "Index") -> None:
    index.user = "me:s3cret/word"
    problem = refused(lambda: Network()(f"{index.url()}/vllm/"))
    assert problem.message == "127.0.0.1 answered 401 for /simple/vllm/"
    network = Network()
    network(f"{index.url('me:s3cret%2Fword@')}/vllm/")
    assert network(f"http://127.0.0.1:{index.port}/files/{NAME}") == index.sdist
    problem = refused(lambda: network(f"{index.url('me:s3cret%2Fword@')}/other/"))
    assert "s3cret" not in problem.message


def test_credentials_of_netrc_are_used(
    index: "Index", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.user = "me:s3cret"
    file = tmp_path / "netrc"
    file.write_text("machine 127.0.0.1 login me password s3cret\n")
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))
    Network()(f"{index.url()}/vllm/")


@pytest.mark.parametrize("said", ["machine 127.0.0.1 login", "\0", "machine other login a"])
def test_a_damaged_netrc_is_no_matter(
    index: "Index", tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    (tmp_path / "netrc").write_text(said)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    Network()(f"{index.url()}/vllm/")


def test_bytes_of_a_range(index: "Index") -> None:
    url = f"http://127.0.0.1:{index.port}/files/{NAME}"
    assert Network()(url, start=10) == index.sdist[10:]
    index.ranges = False
    assert Network()(url, start=10, stop=20) == index.sdist[10:20]


def test_offline_asks_nobody(index: "Index") -> None:
    problem = refused(lambda: Network(offline=True)(f"{index.url()}/vllm/"))
    assert problem.exit_code is ExitCode.UNREACHABLE
    assert "--offline" in problem.message
    assert index.asked == []


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vllm_forge.run.urls.RETRIES", False)
    problem = refused(lambda: Network()("http://127.0.0.1:9/simple/vllm/"))
    assert problem.exit_code is ExitCode.UNREACHABLE
    assert problem.message == "127.0.0.1 cannot be reached"
    assert "refused" in problem.causes[0]
