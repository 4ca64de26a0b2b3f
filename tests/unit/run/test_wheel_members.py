"""Files taken out of a wheel on an index of our own: their bytes alone, whatever goes wrong."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.wheels import make_wheel
from vllm_forge.records.home import Home
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.reuse import ReleaseWheel, WheelMember
from vllm_forge.run.doors import Doors
from vllm_forge.run.index import IndexSettings
from vllm_forge.run.network import Network
from vllm_forge.run.process import run_command
from vllm_forge.run.published import find_file, read_release_wheel
from vllm_forge.run.wheel_member import fetch_together, neighbours, take_member

if TYPE_CHECKING:
    from tests.support.index import Index

NAME = "vllm-1.0-cp38-abi3-manylinux_2_17_x86_64.whl"
BIG = "vllm/attention/_fa_C.abi3.so"
CONTENT = hashlib.shake_256(b"0").digest(300_000)
MEMBERS = {
    "vllm/__init__.py": b"pass\n",
    "vllm/_C.abi3.so": hashlib.shake_256(b"1").digest(3_000_000),
    BIG: CONTENT,
    "vllm/attention/__init__.py": b"from . import _fa_C\n",
    "vllm/attention/.gitkeep": b"",
    "vllm/third_party/kernels/ops.py": b"ops = ()\n",
    "vllm/model/layers.py": b"layers = ()\n",
}


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("NETRC", "/dev/null")


@pytest.fixture
def open_doors(index: "Index", tmp_path: Path) -> Callable[..., Doors]:
    index.files[NAME] = make_wheel(MEMBERS)

    def make(*, offline: bool = False) -> Doors:
        return Doors(
            home=Home(tmp_path / "home"),
            settings=IndexSettings(index.url(), "the test"),
            network=Network(offline=offline),
            run=run_command,
            emit=lambda _event: None,
            environ={},
            offline=offline,
        )

    return make


@pytest.fixture
def wheel(open_doors: Callable[..., Doors]) -> ReleaseWheel:
    read = read_release_wheel("1.0", "x86_64", open_doors())
    assert read.value is not None, read.source
    return read.value


@pytest.fixture
def take(
    open_doors: Callable[..., Doors], wheel: ReleaseWheel, tmp_path: Path
) -> Callable[[WheelMember], int]:
    """Take one member, with connections of its own; returns the bytes fetched."""

    def act(member: WheelMember) -> int:
        doors = open_doors()
        url = find_file(wheel.filename, wheel.sha256, doors).url
        to = tmp_path / "kept" / member.name
        return take_member(url, member, to, doors.network, lambda _count: None)

    return act


def member_of(wheel: ReleaseWheel, name: str = BIG) -> WheelMember:
    return next(member for member in wheel.members if member.name == name)


def refused(act: Callable[[], object]) -> Problem:
    with pytest.raises(Problem) as caught:
        act()
    return caught.value


class TestTheWheel:
    def test_what_a_build_may_take_is_listed(self, wheel: ReleaseWheel) -> None:
        assert wheel.requires_torch == "torch==2.7.1"
        assert [member.name for member in wheel.members] == [
            "vllm/_C.abi3.so",
            BIG,
            "vllm/attention/__init__.py",
            "vllm/third_party/kernels/ops.py",
        ]
        assert wheel.kept == frozenset()

    def test_only_its_end_is_read_and_only_once(
        self, wheel: ReleaseWheel, index: "Index", open_doors: Callable[..., Doors]
    ) -> None:
        assert sum(path.endswith(NAME) for path, _ in index.asked) <= 2
        asked = len(index.asked)
        again = read_release_wheel("1.0", "x86_64", open_doors(offline=True))
        assert again.value == wheel
        assert len(index.asked) == asked

    @pytest.mark.parametrize(
        ("version", "arch", "said"),
        [
            ("0.9", "x86_64", "the index has no wheel of vLLM 0.9, nor of a release before it"),
            ("1.0", "aarch64", "the index has no wheel of vLLM 1.0 for aarch64"),
        ],
    )
    def test_there_is_none(
        self, open_doors: Callable[..., Doors], version: str, arch: str, said: str
    ) -> None:
        read = read_release_wheel(version, arch, open_doors())
        assert (read.value, read.source) == (None, said)

    def test_a_tree_after_a_release_is_held_against_it(
        self, open_doors: Callable[..., Doors]
    ) -> None:
        read = read_release_wheel("1.1.dev3+gabcdef", "x86_64", open_doors())
        assert read.value is not None
        assert read.value.filename == NAME

    def test_offline_it_is_not_known(self, open_doors: Callable[..., Doors]) -> None:
        read = read_release_wheel("1.0", "x86_64", open_doors(offline=True))
        assert read.value is None
        assert "--offline" in read.source

    def test_other_bytes_under_its_name_are_refused(
        self, wheel: ReleaseWheel, index: "Index", open_doors: Callable[..., Doors]
    ) -> None:
        index.files[NAME] += b"\0"
        problem = refused(lambda: find_file(wheel.filename, wheel.sha256, open_doors()))
        assert problem.message == f"the index no longer has {NAME}"
        assert problem.exit_code is ExitCode.UNREACHABLE


class TestTaking:
    def test_its_bytes_alone_are_fetched(
        self,
        wheel: ReleaseWheel,
        take: Callable[[WheelMember], int],
        index: "Index",
        tmp_path: Path,
    ) -> None:
        member = member_of(wheel)
        index.asked.clear()
        assert take(member) == member.span
        assert (tmp_path / "kept" / BIG).read_bytes() == CONTENT
        last = member.offset + member.span - 1
        assert index.downloads == [f"bytes={member.offset}-{last}"]
        assert sorted(path.name for path in (tmp_path / "kept" / BIG).parent.iterdir()) == [
            "_fa_C.abi3.so"
        ]
        assert take(member) == 0

    def test_cut_off_it_is_continued(
        self, wheel: ReleaseWheel, take: Callable[[WheelMember], int], index: "Index"
    ) -> None:
        member = member_of(wheel)
        index.cuts = [100_000, 50_000]
        index.asked.clear()
        for done in (100_000, 150_000):
            problem = refused(lambda: take(member))
            assert problem.exit_code is ExitCode.UNREACHABLE
            assert problem.message == f"{BIG} was cut off after {done} of {member.span} bytes"
        assert take(member) == member.span - 150_000
        starts = [str(span).partition("-")[0] for span in index.downloads]
        assert starts == [f"bytes={member.offset + done}" for done in (0, 100_000, 150_000)]

    def test_a_server_without_ranges_gives_it_too(
        self,
        wheel: ReleaseWheel,
        take: Callable[[WheelMember], int],
        index: "Index",
        tmp_path: Path,
    ) -> None:
        index.ranges = False
        member = member_of(wheel)
        assert take(member) == member.offset + member.span
        assert (tmp_path / "kept" / BIG).read_bytes() == CONTENT

    def test_what_record_does_not_say_is_dropped(
        self,
        index: "Index",
        open_doors: Callable[..., Doors],
        tmp_path: Path,
    ) -> None:
        doors = open_doors()
        index.files[NAME] = make_wheel(MEMBERS, recorded={BIG: b"other"})
        wheel = read_release_wheel("1.0", "x86_64", doors).value
        assert wheel is not None
        url = find_file(NAME, wheel.sha256, doors).url
        to = tmp_path / "kept" / BIG
        problem = refused(
            lambda: take_member(url, member_of(wheel), to, doors.network, lambda _: None)
        )
        assert problem.message.endswith("is not what the wheel's RECORD says")
        assert problem.exit_code is ExitCode.BAD_INPUT
        assert list(to.parent.iterdir()) == []

    @pytest.mark.parametrize("left", [b"\0" * 200, b"\0" * 10_000_000], ids=["short", "long"])
    def test_a_part_of_something_else_is_dropped(
        self, wheel: ReleaseWheel, take: Callable[[WheelMember], int], tmp_path: Path, left: bytes
    ) -> None:
        part = tmp_path / "kept" / f"{BIG}.part"
        part.parent.mkdir(parents=True)
        part.write_bytes(left)
        member = member_of(wheel)
        if len(left) < member.span:
            assert "no zip entry begins there" in refused(lambda: take(member)).causes
        assert take(member) == member.span


class TestTogether:
    def test_neighbours_are_brought_by_one_request(
        self, wheel: ReleaseWheel, open_doors: Callable[..., Doors], index: "Index", tmp_path: Path
    ) -> None:
        wanted = [one for one in wheel.members if "vllm/_C" not in one.name]
        assert [one.name for group in neighbours(wanted) for one in group] == [
            BIG,
            "vllm/attention/__init__.py",
        ]
        doors = open_doors()
        url = find_file(NAME, wheel.sha256, doors).url
        index.asked.clear()
        silent: Callable[[int], None] = lambda _count: None  # noqa: E731 -- one word
        fetched = fetch_together(url, wanted, tmp_path, doors.network, silent)
        assert fetched == sum(one.span for one in wanted[:2])
        taken = [
            take_member(url, one, tmp_path / one.name, doors.network, silent) for one in wanted
        ]
        assert taken == [0, 0, wanted[2].span]
        assert len(index.downloads) == 2
        assert all((tmp_path / one.name).read_bytes() == MEMBERS[one.name] for one in wanted)

    def test_what_is_large_is_left_to_be_written_as_it_comes(self) -> None:
        large = [WheelMember(f"{n}", "", 0, n << 22, 1 << 22, 0, 0) for n in range(3)]
        assert neighbours(large) == []
        small = [WheelMember(f"{n}", "", 0, n << 20, 1 << 20, 0, 0) for n in range(6)]
        assert [len(group) for group in neighbours(small[::-1])] == [4, 2]
