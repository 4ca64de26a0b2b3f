"""A toolkit gets its name only when it is whole: faults in the middle leave nothing behind."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vllm_forge.probe.answers import Answers
from vllm_forge.probe.toolkit import read_toolkits
from vllm_forge.probe.toolkit_parts import PARTS, missing_parts
from vllm_forge.records.event import Event
from vllm_forge.records.home import Home
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.toolkit import Archive, Offer
from vllm_forge.run.doors import Doors
from vllm_forge.run.index import IndexSettings
from vllm_forge.run.network import Network
from vllm_forge.run.process import run_command
from vllm_forge.run.toolkits.choosing import find_offer, list_toolkits, remove_toolkit
from vllm_forge.run.toolkits.making import make_toolkit, read_toolkit_receipt
from vllm_forge.run.toolkits.provider import Asked, Recipe, Tell

OFFER = Offer(
    provider="redist",
    nvcc="12.4.131",
    archives=(Archive("a.tar.xz", "file:///a.tar.xz", "0" * 64, 7),),
    unpacked_bytes=1000,
    origin="a test",
)
NVCC = """#!/bin/sh
echo "#$ _HERE_=${0%/*}"
echo 'Cuda compilation tools, release 12.4, V12.4.131'
"""


@pytest.fixture
def doors(tmp_path: Path) -> Doors:
    return doors_at(tmp_path / "home")


def doors_at(home: Path) -> Doors:
    """Doors to this machine with nothing on PATH: no compiler proves anything here."""
    events: list[Event] = []
    return Doors(
        home=Home(home),
        settings=IndexSettings("file:///nowhere", "a test"),
        network=Network(offline=True),
        run=run_command,
        emit=events.append,
        environ={"PATH": str(home / "bin")},
        offline=True,
    )


def lay_out(prefix: Path) -> None:
    """Every part as a small file; an nvcc that says its version."""
    for name, *_ in PARTS:
        file = prefix / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(NVCC if name == "bin/nvcc" else name)
        file.chmod(0o755)


def recipe(fill: Callable[[Path], None], offer: Offer = OFFER) -> Recipe:
    def told(prefix: Path, tell: Tell) -> None:
        tell(offer.download_bytes)
        fill(prefix)

    return Recipe(offer, told, lambda: None)


def seen(doors: Doors) -> list[str]:
    """What the probe sees below the home."""
    answers = Answers(run_command, environ={}, kept={})
    return [each.path for each in read_toolkits({}, answers, {}, doors.home.path, root=Path("/x"))]


def test_a_whole_toolkit_is_seen_listed_and_made_once(doors: Doors) -> None:
    folder = make_toolkit(recipe(lay_out), doors)

    assert folder == doors.home.path / "toolkits" / "cuda-12.4.131-redist"
    assert seen(doors) == [str(folder)]
    receipt = read_toolkit_receipt(folder)
    assert receipt is not None
    assert (receipt.files, receipt.archives) == (len(PARTS), OFFER.archives)
    (listed,) = list_toolkits(replace(doors, environ={"PATH": "/x", "CUDA_HOME": str(folder)}))[:1]
    assert (listed.provider, listed.missing) == ("redist", ())

    def must_not_run(_prefix: Path) -> None:
        raise AssertionError

    assert make_toolkit(recipe(must_not_run), doors) == folder
    kept = find_offer(Asked("12.4"), doors, "redist")
    assert kept == find_offer(Asked("12.4.131"), doors, "redist")


def test_a_part_that_went_missing_makes_it_anew(doors: Doors) -> None:
    folder = make_toolkit(recipe(lay_out), doors)
    (folder / "nvvm/bin/cicc").unlink()

    assert missing_parts(folder) == ("nvvm/bin/cicc",)
    make_toolkit(recipe(lay_out), doors)
    assert missing_parts(folder) == ()


def test_packages_without_a_part_are_no_toolkit(doors: Doors) -> None:
    def without_stub(prefix: Path) -> None:
        lay_out(prefix)
        (prefix / "lib64/stubs/libcuda.so").unlink()

    with pytest.raises(Problem, match="do not make a whole toolkit") as caught:
        make_toolkit(recipe(without_stub), doors)

    assert caught.value.causes == ("lib64/stubs/libcuda.so is missing",)
    assert seen(doors) == []
    assert not any((doors.home.path / "unfinished").iterdir())


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("#!/bin/sh\necho release 12.5, V12.5.40\n", "is 12.5.40, offered was 12.4.131"),
        ("#!/bin/sh\necho no GLIBC_2.99 >&2; exit 1\n", "does not run"),
    ],
)
def test_another_nvcc_than_offered_is_no_toolkit(doors: Doors, script: str, said: str) -> None:
    def other(prefix: Path) -> None:
        lay_out(prefix)
        (prefix / "bin/nvcc").write_text(script)

    with pytest.raises(Problem, match=said):
        make_toolkit(recipe(other), doors)
    assert seen(doors) == []


def test_a_fault_while_unpacking_leaves_nothing(doors: Doors) -> None:
    def faulty(prefix: Path) -> None:
        lay_out(prefix)
        raise Problem("cut off", exit_code=ExitCode.UNREACHABLE)

    with pytest.raises(Problem, match="cut off"):
        make_toolkit(recipe(faulty), doors)
    assert seen(doors) == []
    make_toolkit(recipe(lay_out), doors)
    assert len(seen(doors)) == 1


def test_killed_while_unpacking_it_is_never_seen(doors: Doors, tmp_path: Path) -> None:
    """A process of its own, killed when everything is laid out and nothing is proven yet."""
    program = textwrap.dedent(f"""
        import sys, time
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from test_toolkit_making import doors_at, lay_out, recipe
        from vllm_forge.run.toolkits.making import make_toolkit
        def fill(prefix):
            lay_out(prefix)
            print("laid out", flush=True)
            time.sleep(60)
        make_toolkit(recipe(fill), doors_at(Path({str(doors.home.path)!r})))
    """)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "laid out\n"
        os.kill(process.pid, signal.SIGKILL)

    assert (doors.home.path / "unfinished/cuda-12.4.131-redist/bin/nvcc").exists()
    assert seen(doors) == []
    make_toolkit(recipe(lay_out), doors)
    assert len(seen(doors)) == 1


def test_no_room_is_said_with_numbers_before_anything_is_fetched(doors: Doors) -> None:
    def must_not_run(_prefix: Path) -> None:
        raise AssertionError

    with pytest.raises(Problem, match=r"free, the toolkit needs 1048576.0 GiB") as caught:
        make_toolkit(recipe(must_not_run, replace(OFFER, unpacked_bytes=1 << 50)), doors)
    assert caught.value.exit_code is ExitCode.UNREACHABLE


def test_removal_names_what_it_means(doors: Doors) -> None:
    first = make_toolkit(recipe(lay_out), doors)
    make_toolkit(recipe(lay_out, replace(OFFER, provider="conda")), doors)

    with pytest.raises(Problem, match=r"2 of the forge's toolkits are 12\.4") as caught:
        remove_toolkit("12.4", doors)
    assert caught.value.exit_code is ExitCode.USAGE
    assert "vllm-forge toolkit remove cuda-12.4.131-conda" in caught.value.hints

    remove_toolkit("cuda-12.4.131-conda", doors)
    assert remove_toolkit("12.4", doors, dry_run=True) == first
    assert first.exists()
    remove_toolkit("12.4", doors)
    assert not first.exists()
    with pytest.raises(Problem, match=r"none of the forge's toolkits is 12\.4"):
        remove_toolkit("12.4", doors)


def test_no_provider_has_it_and_each_says_why(doors: Doors) -> None:
    with pytest.raises(Problem, match=r"no provider has CUDA 9\.2") as caught:
        find_offer(Asked("9.2"), doors)

    assert caught.value.exit_code is ExitCode.REFUSED
    named = {cause.partition(":")[0] for cause in caught.value.causes}
    assert named == {"system", "debian", "pypi", "redist", "conda"}
