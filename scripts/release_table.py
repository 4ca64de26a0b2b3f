"""Make the shipped tables of vLLM releases from the sdists on the configured package index.

    python -m scripts.release_table [--work DIR] [VERSION…]

One sdist at a time is downloaded into DIR, read with the code of `vllm_forge.release`, and deleted;
what was read stays in DIR as one JSON for each release, so that a second run goes on where the
first stopped. vLLM's generator scripts are run here, in their unpacked tree, because only running
them shows which files they write: planning never runs them.

Writes releases.json, configurations.json and generated_sources.json of src/vllm_forge/data.
scripts/torch_table.py makes torch.json and torch_api.json from the index and the same DIR.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from packaging.markers import Marker
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from vllm_forge.records.codec import parse_json
from vllm_forge.records.release import Configured, Release
from vllm_forge.release.configuration import configure, read_nvcc_classes
from vllm_forge.release.generated_sources import GeneratedTable, Output
from vllm_forge.release.packed import CPU_CLASSES, Packed, pack
from vllm_forge.release.question import Question
from vllm_forge.release.source_tree import SourceTree
from vllm_forge.release.torch_uses import TorchUse, read_torch_uses
from vllm_forge.release.tree import describe_tree
from vllm_forge.run.archive import unpack_sdist
from vllm_forge.run.index import IndexFile, read_index_settings, read_project
from vllm_forge.run.network import Network
from vllm_forge.run.process import run_command
from vllm_forge.run.uv import uv_program

DATA = Path(__file__).parent.parent / "src" / "vllm_forge" / "data"
WORK = Path(__file__).parent.parent / ".forge" / "release-table"
OLDEST = Version("0.8.0")
ARCHITECTURES = (
    *("7.0", "7.2", "7.5", "8.0", "8.6", "8.7", "8.9", "9.0"),
    *("10.0", "10.1", "10.3", "10.7", "11.0", "12.0", "12.1"),
)
SUFFIXED = tuple(f"{arch}{suffix}" for arch in ARCHITECTURES[7:] for suffix in ("a", "f"))
"""What CUDA_ARCHS may hold beside ARCHITECTURES when a user asks for it."""

GENERATOR_PACKAGES = ("jinja2", "markupsafe", "nvidia-cutlass==4.2.0.0")
"""What the scripts import; cutlass_library otherwise comes with the CUTLASS that CMake fetches."""

Scripts = Mapping[str, tuple[Output, ...]]
"""sha256 of a generator script → what it writes."""

X86_LINUX = {"platform_machine": "x86_64", "platform_system": "Linux", "sys_platform": "linux"}


@dataclass(frozen=True, slots=True)
class Entry:
    """Everything read of one release. `pinned` is device → torch, `uses` device → what it takes."""

    release: Release
    packed: Packed
    scripts: dict[str, tuple[Output, ...]]
    pinned: dict[str, str]
    uses: dict[str, tuple[TorchUse, ...]]


def read_entry(root: Path, packages: Path, known: Scripts) -> Entry:
    """Read one unpacked tree; `packages` is where GENERATOR_PACKAGES are."""
    tree = SourceTree(root)
    release = describe_tree(tree)
    table = GeneratedTable(1, run_generators(tree, packages, known))

    def answer(question: Question) -> Configured:
        return configure(tree, question, table)

    cuda = {
        nvcc: {a: answer(Question(nvcc=f"{nvcc}.1", architectures=(a,))) for a in ARCHITECTURES}
        for nvcc in read_nvcc_classes(tree)
    }
    cpu = {
        name: answer(Question(device="cpu", processor_flags=flags))
        for name, flags in CPU_CLASSES.items()
    }
    compiled = {
        "cuda": sources_of([configured for row in cuda.values() for configured in row.values()]),
        "cpu": sources_of(list(cpu.values())),
    }
    return Entry(
        release=release,
        packed=pack(cuda, cpu),
        scripts=dict(table.scripts),
        pinned={device: pinned_torch(release, device) for device in compiled},
        uses={device: read_torch_uses(tree, device, files) for device, files in compiled.items()},
    )


def sources_of(configured: list[Configured]) -> list[str]:
    return sorted({source for one in configured for t in one.targets for source in t.sources})


def pinned_torch(release: Release, device: str) -> str:
    """The public version that the device's requirements pin for x86-64 Linux, "" where none."""
    for pin in release.torch:
        holds = pin.marker is None or Marker(pin.marker).evaluate(X86_LINUX)
        exact = [one.version for one in SpecifierSet(pin.specifier) if one.operator == "=="]
        if pin.role == device and holds and exact:
            return Version(exact[0]).public
    return ""


def run_generators(
    tree: SourceTree, packages: Path, known: Scripts
) -> dict[str, tuple[Output, ...]]:
    """Every `csrc/**/generate*.py`, alone or once for each architecture; what it writes is removed.

    One that is `known` by its sha256 is not run again. One that cannot be run here (another import
    than GENERATOR_PACKAGES have) is left out, and its output stays unknown.
    """
    scripts: dict[str, tuple[Output, ...]] = {}
    for path in tree.files("csrc/**/generate*.py"):
        digest, script = tree.sha256(path), tree.root / path
        if digest in known:
            scripts[digest] = known[digest]
            continue
        takes_architectures = "sys.argv[1]" in script.read_text()
        outputs: dict[tuple[str, ...], list[str]] = {}
        for argument in (*ARCHITECTURES, *SUFFIXED) if takes_architectures else ("",):
            files = run_generator(script, argument, tree.root, packages)
            if files is not None:
                outputs.setdefault(files, []).append(argument)
        if outputs:
            scripts[digest] = tuple(Output(tuple(args), files) for files, args in outputs.items())
    return scripts


def run_generator(
    script: Path, argument: str, root: Path, packages: Path
) -> tuple[str, ...] | None:
    """Sources it writes, relative to its folder; None when it fails."""
    before = written(script.parent)
    paths = (
        packages,
        root / "csrc" / "cutlass_extensions",
        *root.glob("csrc/*/cutlass_extensions"),
    )
    done = run_command(
        [sys.executable, script, *([argument] if argument else [])],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(path) for path in paths)},
        cwd=script.parent,
        timeout=300,
    )
    made = sorted(path for path, at in written(script.parent).items() if before.get(path) != at)
    files = tuple(path.relative_to(script.parent).as_posix() for path in made)
    for path in made:
        path.unlink()
    if done.code:
        print(f"  {script.relative_to(root)} {argument}: {done.stderr.strip()[-300:]}")
        return None
    return files


def written(folder: Path) -> dict[Path, int]:
    """CUDA sources and when each was written: some sdists ship generated ones, to be replaced."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.cu")}


def install_packages(into: Path) -> Path:
    """Without their dependencies: the scripts need none of them."""
    if not into.is_dir():
        install = ["pip", "install", "--no-deps", "--target", str(into)]
        done = run_command([uv_program(), *install, *GENERATOR_PACKAGES], timeout=600)
        if done.code:
            sys.exit(done.stderr)
    return into


def find_sdists(network: Network, wanted: list[str]) -> list[IndexFile]:
    """Final releases from OLDEST on, or the wanted ones, oldest first."""
    settings = read_index_settings(os.environ, run_command)
    found = {
        str(file.version): file
        for file in read_project("vllm", settings, network)
        if file.filename.endswith(".tar.gz") and file.version and not file.yanked
    }
    versions = wanted or [v for v in found if Version(v) >= OLDEST and not Version(v).is_prerelease]
    return [found[version] for version in sorted(versions, key=Version)]


def fetch_entry(sdist: IndexFile, network: Network, work: Path) -> Entry:
    """Download, read, delete. Generator scripts of the entries in `work` are not run again."""
    known = {
        digest: o for entry in read_entries(work).values() for digest, o in entry.scripts.items()
    }
    packages = install_packages(work / "packages")
    with tempfile.TemporaryDirectory(dir=work) as folder:
        archive = Path(folder, sdist.filename)
        archive.write_bytes(network(sdist.url))
        unpack_sdist(archive, Path(folder, "tree"))
        archive.unlink()
        return read_entry(Path(folder, "tree"), packages, known)


def write_table(name: str, releases: dict[str, object]) -> None:
    """One line for each release, so that a change shows as that release's line."""
    lines = [f'"{version}": {msgspec.json.encode(r).decode()}' for version, r in releases.items()]
    text = '{"schema": 1, "releases": {\n' + ",\n".join(lines) + "\n}}\n"
    Path(DATA, name).write_text(text, encoding="utf-8")


def write_tables(work: Path) -> None:
    """The three tables from every entry in `work`."""
    entries = read_entries(work)
    write_table("releases.json", {version: entry.release for version, entry in entries.items()})
    write_table("configurations.json", {version: e.packed for version, e in entries.items()})
    scripts = {digest: o for e in entries.values() for digest, o in e.scripts.items()}
    lines = [f'"{digest}": {msgspec.json.encode(o).decode()}' for digest, o in scripts.items()]
    text = '{"schema": 1, "scripts": {\n' + ",\n".join(lines) + "\n}}\n"
    Path(DATA, "generated_sources.json").write_text(text, encoding="utf-8")


def read_entries(work: Path) -> dict[str, Entry]:
    files = {file.name.removesuffix(".json"): file for file in work.glob("[0-9]*.json")}
    return {
        version: parse_json(files[version].read_bytes(), Entry, origin=str(files[version]))
        for version in sorted(files, key=Version)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, default=WORK, help="where entries are kept")
    parser.add_argument("versions", nargs="*", help="only these; default: every one that lacks")
    arguments = parser.parse_args()
    work: Path = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    network = Network()
    for sdist in find_sdists(network, arguments.versions):
        target = work / f"{sdist.version}.json"
        if target.is_file() and not arguments.versions:
            continue
        print(sdist.filename, flush=True)
        target.write_bytes(msgspec.json.encode(fetch_entry(sdist, network, work)))
    write_tables(work)
    shutil.rmtree(work / "packages", ignore_errors=True)


if __name__ == "__main__":
    main()
