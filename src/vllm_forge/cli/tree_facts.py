"""The facts of the tree that `--vllm` names: from the shipped table, or read from the tree."""

from collections.abc import Callable
from pathlib import Path

from vllm_forge.records.codec import parse_json, render_json
from vllm_forge.records.facts import ReadConfigured, TreeFacts
from vllm_forge.records.home import Home
from vllm_forge.records.problem import Problem
from vllm_forge.records.range_file import RangeFile
from vllm_forge.records.release import Configured, Release
from vllm_forge.records.torch import MissingName
from vllm_forge.release import (
    Question,
    SourceTree,
    TorchNames,
    configure,
    find_missing,
    read_known_configuration,
    read_known_missing,
    read_known_release,
    read_release,
    read_torch_uses,
    read_wheel_names,
)
from vllm_forge.resolve.torch import exact_version
from vllm_forge.run.doors import Doors
from vllm_forge.run.files import write_atomically
from vllm_forge.run.index import IndexFile, read_project


def facts_of_release(version: str) -> TreeFacts | None:
    """From the shipped table; None for a release that it does not have."""
    release = read_known_release(version)
    if release is None:
        return None

    def missing(device: str, torch: str, sources: frozenset[str]) -> tuple[MissingName, ...] | None:
        if torch in _pins(release, device):
            return ()
        return read_known_missing(version, device, torch, sources)

    configured = _answered_by(lambda question: read_known_configuration(version, question))
    return TreeFacts(release, configured, missing)


def facts_of_tree(tree: Path, doors: Doors) -> TreeFacts:
    """Read from the unpacked tree, whatever its version."""
    release = read_release(tree)
    source = SourceTree(tree)

    def missing(device: str, torch: str, sources: frozenset[str]) -> tuple[MissingName, ...] | None:
        pins = _pins(release, device)
        if torch in pins:
            return ()
        planned = read_torch_names(torch, doors)
        pinned = read_torch_names(min(pins), doors) if pins else None
        if planned is None or pinned is None:
            return None
        return find_missing(read_torch_uses(source, device, sources), planned, pinned)

    configured = _answered_by(lambda question: configure(source, question))
    return TreeFacts(release, configured, missing)


def _answered_by(answer: Callable[[Question], Configured | None]) -> ReadConfigured:
    def configured(
        device: str,
        *,
        nvcc: str | None = None,
        architectures: tuple[str, ...] = (),
        flags: tuple[str, ...] = (),
    ) -> Configured | None:
        return answer(
            Question(device=device, nvcc=nvcc, architectures=architectures, processor_flags=flags)
        )

    return configured


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


def _pins(release: Release, device: str) -> set[str]:
    """The torch versions that the tree itself names for a device: what it is compiled with."""
    return {
        version
        for pin in release.torch
        if pin.role == device and (version := exact_version(pin)) is not None
    }
