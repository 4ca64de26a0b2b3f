"""What is made of a checkpoint is found again by its content, and views do not outlive it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from vllm_forge.checkpoint.read import read_checkpoint
from vllm_forge.records.checkpoint import Verdict, VerdictWord
from vllm_forge.records.event import Event, StepSkipped
from vllm_forge.records.home import Home
from vllm_forge.records.run import RunKind, RunPath
from vllm_forge.release import read_known_release
from vllm_forge.resolve.match import choose_verdict
from vllm_forge.run.prepare import drop_orphans, folder_of, made_place, prepare

EXPORT = Path(__file__).parents[2] / "data" / "checkpoints" / "export-0.33.1-fp8"

Place = Callable[[Path, RunKind], Path]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXPORT, tmp_path / "one" / "model"))


@pytest.fixture
def place(home: Home) -> Place:
    def find(folder: Path, kind: RunKind) -> Path:
        verdict = Verdict("0.10.1", VerdictWord.REPAIR, None, ())
        return made_place(read_checkpoint(folder), RunPath(kind, verdict, 0), home)

    return find


def test_the_same_content_elsewhere_is_the_same(
    original: Path, tmp_path: Path, place: Place
) -> None:
    copy = Path(shutil.copytree(original, tmp_path / "two" / "model"))
    assert place(copy, RunKind.DEQUANTIZED) == place(original, RunKind.DEQUANTIZED)
    assert place(copy, RunKind.REPAIRED) != place(original, RunKind.REPAIRED)


def test_one_changed_scale_is_another_checkpoint(original: Path, place: Place) -> None:
    """The same size and time: only the value of a scale scalar tells."""
    before = place(original, RunKind.DEQUANTIZED)
    weights = original / "model.safetensors"
    tensors = read_checkpoint(original).weights.tensors
    scale = next(tensor for tensor in tensors if tensor.name.endswith(".weight_scale"))
    status = weights.stat()
    with weights.open("r+b") as data:
        data.seek(scale.start)
        data.write(b"\x00\x00\x80\x3f")
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert place(original, RunKind.DEQUANTIZED) != before


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_changed_file_is_another_checkpoint(original: Path, place: Place, name: str) -> None:
    before = place(original, RunKind.DEQUANTIZED)
    with (original / name).open("a") as file:
        file.write("\n")
    assert place(original, RunKind.DEQUANTIZED) != before


def test_view_is_made_once_and_goes_with_its_original(original: Path, home: Home) -> None:
    release = read_known_release("0.10.1")
    assert release is not None
    checkpoint = read_checkpoint(original)
    path = RunPath(RunKind.REPAIRED, choose_verdict(checkpoint, release), 0)
    events: list[Event] = []

    def again() -> Path:
        return prepare(
            checkpoint, path, release, home=home, python=Path("python"), emit=events.append
        )

    view = again()
    assert view.parent == folder_of(home)
    assert (view / "model.safetensors").samefile(original / "model.safetensors")
    made = view.stat().st_ctime_ns
    assert again() == view
    assert view.stat().st_ctime_ns == made
    assert [type(event) for event in events] == [StepSkipped]
    drop_orphans(folder_of(home))
    assert view.exists()
    shutil.rmtree(original)
    drop_orphans(folder_of(home))
    assert list(folder_of(home).iterdir()) == []


def test_as_it_is_nothing_is_made(original: Path, home: Home) -> None:
    release = read_known_release("0.10.1")
    assert release is not None
    verdict = Verdict("0.10.1", VerdictWord.NATIVE, None, ())
    path = RunPath(RunKind.NATIVE, verdict, 0)
    checkpoint = read_checkpoint(original)
    python = Path("python")
    found = prepare(checkpoint, path, release, home=home, python=python, emit=print)
    assert found == original
    assert not home.path.exists()
