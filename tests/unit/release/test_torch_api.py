"""The preflight, from sources and a wheel made on the spot."""

import io
import zipfile
from pathlib import Path

import pytest

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.torch import MissingName
from vllm_forge.release import (
    SourceTree,
    TorchNames,
    find_missing,
    read_installed_names,
    read_torch_uses,
    read_wheel_names,
)

HEADERS = {
    "torch/include/ATen/Tensor.h": "namespace at { class Tensor; }",
    "torch/include/torch/all.h": "// Float8_in_a_comment\nnamespace torch { using at::Tensor; }",
    "torch/include/pybind11/pybind11.h": "class NotTorchs;",
    "torch/lib/libc10.so": "Float8_in_a_library",
}


def wheel(members: dict[str, str]) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return file


def test_names_of_a_wheel_and_of_an_installed_torch_are_the_same(tmp_path: Path) -> None:
    for name, text in HEADERS.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    names = read_wheel_names(wheel(HEADERS), origin="torch.whl")
    assert names == read_installed_names(tmp_path)
    assert names.has("at::Tensor")
    assert names.has("<ATen/Tensor.h>")
    assert names.has("at::Float8_in_a_comment")
    assert not names.has("at::Tensor::nowhere")
    assert not names.has("at::NotTorchs")
    assert not names.has("at::Float8_in_a_library")
    assert not names.has("<pybind11/pybind11.h>")


def test_a_wheel_that_is_none() -> None:
    with pytest.raises(Problem, match=r"torch\.whl is not a wheel") as caught:
        read_wheel_names(io.BytesIO(b"not a zip file"), origin="torch.whl")
    assert caught.value.exit_code is ExitCode.BAD_INPUT


def test_a_wheel_without_headers() -> None:
    with pytest.raises(Problem, match=r"numpy\.whl holds no torch headers"):
        read_wheel_names(wheel({"numpy/x.h": ""}), origin="numpy.whl")


def torch(*identifiers: str, headers: tuple[str, ...] = ("torch/all.h",)) -> TorchNames:
    return TorchNames(frozenset(identifiers), frozenset(headers))


OLD = torch("Tensor")
NEW = torch("Tensor", "NewType", headers=("torch/all.h", "ATen/cuda/New.h"))


def test_what_the_planned_torch_lacks_is_named_with_its_files(early: Path) -> None:
    uses = read_torch_uses(SourceTree(early), "cuda", ["csrc/cache.cu", "csrc/hopper.cu"])
    assert find_missing(uses, OLD, NEW) == (
        MissingName("<ATen/cuda/New.h>", ("csrc/cache.cu",)),
        MissingName("at::NewType", ("csrc/cache.cu",)),
    )


def test_another_target_of_the_same_tree_is_fine(early: Path) -> None:
    uses = read_torch_uses(SourceTree(early), "cpu", ["csrc/cpu.cpp"])
    assert uses
    assert find_missing(uses, OLD, NEW) == ()


def test_a_newer_torch_that_has_everything_is_fine(early: Path) -> None:
    uses = read_torch_uses(SourceTree(early), "cuda", ["csrc/cache.cu"])
    assert find_missing(uses, NEW, OLD) == ()
    assert find_missing(uses, NEW, NEW) == ()


def test_what_the_pinned_torch_lacks_too_decides_nothing(early: Path) -> None:
    uses = read_torch_uses(SourceTree(early), "cuda", ["csrc/cache.cu"])
    assert find_missing(uses, torch(), OLD) == (MissingName("at::Tensor", ("csrc/cache.cu",)),)


def test_a_source_that_is_not_in_the_tree_says_nothing(early: Path) -> None:
    assert read_torch_uses(SourceTree(early), "cuda", ["flashmla-src/csrc/api.cpp"]) == ()
