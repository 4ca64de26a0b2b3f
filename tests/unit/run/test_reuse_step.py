"""The step that takes an extension out of a wheel, against an index and an environment of ours."""

import hashlib
import io
import sysconfig
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.wheels import make_wheel
from vllm_forge.records.event import Event, Note
from vllm_forge.records.home import Home
from vllm_forge.records.plan import Plan, Reuse, ReusedTarget, Step
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.doing.reuse import reuse
from vllm_forge.run.doing.site import Done, Site
from vllm_forge.run.doors import Doors
from vllm_forge.run.index import IndexSettings
from vllm_forge.run.network import Network
from vllm_forge.run.process import run_command
from vllm_forge.run.published import read_release_wheel

if TYPE_CHECKING:
    from tests.support.index import Index

NAME = "vllm-0.0.1-cp38-abi3-manylinux_2_17_x86_64.whl"
EXTENSION = "vllm/attention/_fa_C.abi3.so"
BESIDE = "vllm/attention/interface.py"
FITTING = min(Path(sysconfig.get_config_var("DESTSHARED")).glob("*.so"), key=lambda one: one.name)
"""An extension of the running Python: it asks nothing of torch, and has no GPU code."""
DEMO = Path(__file__).parents[2] / "data" / "elf" / "_demo.abi3.so"


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("NETRC", "/dev/null")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree" / "csrc").mkdir(parents=True)
    return tmp_path / "tree"


@pytest.fixture
def take(index: "Index", tmp_path: Path, tree: Path, said: list[str]) -> Callable[[bytes], Done]:
    """The step over a wheel whose extension has this content."""

    def emit(event: Event) -> None:
        if isinstance(event, Note):
            said.append(event.message)

    def act(content: bytes) -> Done:
        index.files[NAME] = make_wheel({EXTENSION: content, BESIDE: b"revision = 2\n"})
        doors = Doors(
            home=Home(tmp_path / "home"),
            settings=IndexSettings(index.url(), "the test"),
            network=Network(),
            run=run_command,
            emit=emit,
            environ={},
            offline=False,
        )
        wheel = read_release_wheel("0.0.1", "x86_64", doors).value
        assert wheel is not None
        action = Reuse(
            source=str(tree),
            environment=str(tmp_path / "env"),
            version="0.0.1",
            wheel=wheel.filename,
            sha256=wheel.sha256,
            targets=(ReusedTarget("_fa_C", wheel.members),),
            gpu_arch=("8.9",),
        )
        step = Step("reuse", "take _fa_C", action, (), "f")
        facts = {"torch_folder": str(tmp_path / "env" / "site-packages" / "torch")}
        return reuse(action, Site(step, Plan("ok", "key", {}), doors, facts, tmp_path / "log"))

    return act


def test_it_is_put_where_the_wheel_has_it(take: Callable[[bytes], Done], tree: Path) -> None:
    done = take(FITTING.read_bytes())
    assert (tree / EXTENSION).read_bytes() == FITTING.read_bytes()
    assert (tree / BESIDE).read_text() == "revision = 2\n"
    assert {thing.path: thing.sha256 for thing in done.made} == {
        str(tree / name): hashlib.sha256((tree / name).read_bytes()).hexdigest()
        for name in (EXTENSION, BESIDE)
    }
    assert done.facts is not None
    assert int(done.facts["wheel_bytes_fetched"] or 0) > 0
    assert done.watched is not None
    assert [root.folder for root in done.watched.roots] == [str(tree)]


def test_what_was_fetched_is_not_asked_for_again(
    take: Callable[[bytes], Done], tree: Path, index: "Index"
) -> None:
    take(FITTING.read_bytes())
    (tree / EXTENSION).unlink()
    index.asked.clear()
    done = take(FITTING.read_bytes())
    assert (tree / EXTENSION).is_file()
    assert "nothing fetched" in done.summary
    assert index.asked == []


def test_one_that_does_not_fit_is_not_installed(take: Callable[[bytes], Done], tree: Path) -> None:
    with pytest.raises(Problem) as caught:
        take(DEMO.read_bytes())
    problem = caught.value
    assert problem.exit_code is ExitCode.REFUSED
    assert problem.message == f"_fa_C of {NAME} does not fit this environment"
    assert any(cause.startswith("symbols:_fa_C.abi3.so: ") for cause in problem.causes)
    assert not (tree / "vllm").exists()


@pytest.mark.parametrize(
    ("published", "left"), [("revision = 1\n", False), ("something else\n", True)]
)
def test_a_file_of_the_sdist_is_replaced_and_the_users_left(
    take: Callable[[bytes], Done],
    tree: Path,
    index: "Index",
    said: list[str],
    published: str,
    *,
    left: bool,
) -> None:
    index.files["vllm-0.0.1.tar.gz"] = pack_sdist({BESIDE: published.encode()})
    (tree / BESIDE).parent.mkdir(parents=True)
    (tree / BESIDE).write_text("revision = 1\n")
    done = take(FITTING.read_bytes())
    assert (tree / BESIDE).read_text() == ("revision = 1\n" if left else "revision = 2\n")
    assert [thing.sha256 is None for thing in done.made] == [False, left]
    assert [BESIDE in line and "is left as it is" in line for line in said] == [True] * left


def test_the_users_own_extension_gives_way(take: Callable[[bytes], Done], tree: Path) -> None:
    (tree / EXTENSION).parent.mkdir(parents=True)
    (tree / EXTENSION).write_bytes(b"compiled earlier")
    take(FITTING.read_bytes())
    assert (tree / EXTENSION).read_bytes() == FITTING.read_bytes()


def pack_sdist(files: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"vllm-0.0.1/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return held.getvalue()
