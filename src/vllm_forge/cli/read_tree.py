"""The facts of an unpacked tree, and of the torch it would meet."""

from dataclasses import replace
from pathlib import Path

from vllm_forge.cli.tree_facts import answered_by, pins_of
from vllm_forge.records.codec import parse_json, render_json
from vllm_forge.records.facts import TreeFacts
from vllm_forge.records.home import Home
from vllm_forge.records.problem import Problem
from vllm_forge.records.range_file import RangeFile
from vllm_forge.records.specialization import MadeFor, Reach
from vllm_forge.records.torch import MissingName
from vllm_forge.release import (
    Question,
    SourceTree,
    TorchNames,
    configure,
    find_missing,
    read_release,
    read_torch_uses,
    read_unreached,
    read_wheel_names,
)
from vllm_forge.run.doors import Doors
from vllm_forge.run.files import write_atomically
from vllm_forge.run.git_version import read_git_version
from vllm_forge.run.index import IndexFile, read_project


def facts_of_tree(tree: Path, doors: Doors, *, ref: str | None = None) -> TreeFacts:
    """Read from the unpacked tree, whatever its version; `ref` is the git ref it was asked by."""
    release = read_release(tree)
    if release.version.value is None:
        release = replace(release, version=read_git_version(tree, ref, doors.run))
    source = SourceTree(tree)

    def missing(device: str, torch: str, sources: frozenset[str]) -> tuple[MissingName, ...] | None:
        pins = pins_of(release, device)
        if torch in pins:
            return ()
        planned = read_torch_names(torch, doors)
        pinned = read_torch_names(min(pins), doors) if pins else None
        if planned is None or pinned is None:
            return None
        return find_missing(read_torch_uses(source, device, sources), planned, pinned)

    configured = answered_by(lambda question: configure(source, question))
    reached: dict[tuple[str, str, tuple[str, ...], MadeFor], Reach] = {}

    def reach(
        device: str, *, nvcc: str, architectures: tuple[str, ...], made_for: MadeFor
    ) -> Reach:
        question = Question(device=device, nvcc=nvcc, architectures=architectures)
        key = (device, nvcc, architectures, made_for)
        if key not in reached:
            reached[key] = read_unreached(source, question, made_for)
        return reached[key]

    return TreeFacts(release, configured, missing, reach)


def read_torch_names(version: str, doors: Doors) -> TorchNames | None:
    """The names in that torch's headers, read out of its wheel by ranges and kept; None offline."""
    kept = kept_names(doors.home, version)
    try:
        return parse_json(kept.read_bytes(), TorchNames, origin=str(kept))
    except (OSError, Problem):
        pass
    try:
        wheel = _wheel_of(version, doors)
        if wheel is None or wheel.size is None:
            return None
        url = wheel.url

        def read(start: int, stop: int) -> bytes:
            return doors.network(url, start=start, stop=stop)

        names = read_wheel_names(RangeFile(read, wheel.size), origin=wheel.filename)
    except Problem:
        return None
    write_atomically(kept, render_json(names))
    return names


def kept_names(home: Home, version: str) -> Path:
    return home.path / "torch-names" / f"{version}.json"


def _wheel_of(version: str, doors: Doors) -> IndexFile | None:
    """A Linux x86-64 wheel; the headers are the same for every Python."""
    for file in read_project("torch", doors.settings, doors.network):
        if str(file.version) == version and "x86_64.whl" in file.filename:
            return file
    return None
