"""Make torch.json and torch_api.json of src/vllm_forge/data from the configured package index.

    python -m scripts.torch_table [--work DIR]

DIR is where scripts/release_table.py keeps what it read: the names that vLLM's sources take from
torch. Of each torch release one Linux x86-64 wheel is looked into by range requests (about 11 MB of
800), never installed: its metadata, its version.py, its CMake package and its headers.
"""

import argparse
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from scripts.release_table import DATA, WORK, Entry, read_entries
from vllm_forge.records.range_file import RangeFile
from vllm_forge.records.torch import TorchRelease
from vllm_forge.release.known import KnownUse
from vllm_forge.release.torch_headers import TorchNames, read_wheel_names
from vllm_forge.release.torch_wheel import read_torch_wheel
from vllm_forge.run.index import IndexFile, read_index_settings, read_project
from vllm_forge.run.network import Network
from vllm_forge.run.process import run_command

OLDEST = Version("2.4.0")
"""vLLM 0.8.0 pins 2.6.0; two minor releases before it are what people try."""


@dataclass(frozen=True, slots=True)
class Looked:
    """`lacks` are the names of interest that its headers do not have."""

    release: TorchRelease
    lacks: tuple[str, ...]


def torch_files(network: Network) -> dict[Version, list[IndexFile]]:
    """Public version → its wheels, final releases from OLDEST on, oldest first."""
    settings = read_index_settings(os.environ, run_command)
    found: dict[Version, list[IndexFile]] = {}
    for file in read_project("torch", settings, network):
        version = file.version
        if file.filename.endswith(".whl") and version and not file.yanked:
            public = Version(version.public)
            if public >= OLDEST and not public.is_prerelease:
                found.setdefault(public, []).append(file)
    return {version: found[version] for version in sorted(found)}


def look_into(
    version: Version, files: list[IndexFile], names: frozenset[str], network: Network
) -> Looked | None:
    """None for a release without a Linux x86-64 wheel of known size."""
    wheel = next(
        (f for f in files if "linux" in f.filename and "x86_64" in f.filename and f.size), None
    )
    if wheel is None or wheel.size is None:
        return None
    remote = RangeFile(lambda start, stop: network(wheel.url, start=start, stop=stop), wheel.size)
    said = read_torch_wheel(remote, origin=wheel.filename)
    headers: TorchNames = read_wheel_names(remote, origin=wheel.filename)
    tags = [tag for file in files for tag in parse_wheel_filename(file.filename)[3]]
    return Looked(
        TorchRelease(
            version=str(version),
            requires_python=said.requires_python,
            pythons=unique(tag.interpreter for tag in tags),
            platforms=unique(tag.platform for tag in tags),
            variants=unique(f.version.local or "" for f in files if f.version),
            cuda=said.cuda,
            cxx11_abi=said.cxx11_abi,
            requires=said.requires,
            source=wheel.filename,
        ),
        tuple(sorted(name for name in names if not headers.has(name))),
    )


def unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


def known_use(entry: Entry, device: str, interesting: frozenset[str]) -> KnownUse:
    files: dict[str, set[str]] = {}
    for use in entry.uses[device]:
        if use.name in interesting:
            files.setdefault(use.name, set()).update(use.units)
    names = {name: tuple(sorted(units)) for name, units in sorted(files.items())}
    return KnownUse(entry.pinned[device], names)


def encode(value: object) -> str:
    return msgspec.json.encode(value).decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, default=WORK)
    entries = read_entries(parser.parse_args().work)
    names = frozenset(u.name for e in entries.values() for uses in e.uses.values() for u in uses)
    network = Network()
    looked: dict[str, Looked] = {}
    for version, files in torch_files(network).items():
        found = look_into(version, files, names, network)
        if found is not None:
            looked[str(version)] = found
            release = found.release
            print(version, release.cuda, release.cxx11_abi, len(found.lacks), flush=True)
    # A name that every torch has, or none, decides nothing.
    lacked = [frozenset(one.lacks) for one in looked.values()]
    interesting = frozenset().union(*lacked) - frozenset.intersection(*lacked)
    torches = ",\n".join(encode(one.release) for one in looked.values())
    Path(DATA, "torch.json").write_text('{"schema": 1, "torch": [\n' + torches + "\n]}\n")
    lacks = ",\n".join(
        f'"{version}": {encode(sorted(interesting & set(one.lacks)))}'
        for version, one in looked.items()
    )
    releases = ",\n".join(
        f'"{version}": {encode({d: known_use(entry, d, interesting) for d in entry.uses})}'
        for version, entry in entries.items()
    )
    text = f'{{"schema": 1,\n"lacks": {{\n{lacks}\n}},\n"releases": {{\n{releases}\n}}}}\n'
    Path(DATA, "torch_api.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
