"""`python -m gpu.pack --output DIR`: everything the GPU machine lacks, at most 60 MiB.

The tree of a vLLM release whose torch pin is the machine's, without what no build reads; CUTLASS as
that tree pins it; an extension out of the release's wheel whose sources no index carries; wheels
that the machine has not; vllm-forge itself; ModelOpt checkpoints.
"""

import argparse
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

from vllm_forge.cli.doors import open_doors
from vllm_forge.records.home import Home
from vllm_forge.release import read_release
from vllm_forge.resolve.reuse import Asked, find_members
from vllm_forge.run.archive import unpack_sdist
from vllm_forge.run.doors import Doors
from vllm_forge.run.download import download
from vllm_forge.run.home import choose_home
from vllm_forge.run.index import uv_environment
from vllm_forge.run.projects.index import unpack_carried
from vllm_forge.run.published import (
    find_file,
    folder_of_wheel,
    memory_of,
    read_release_wheel,
)
from vllm_forge.run.sdist_manifest import manifest_of, read_manifest
from vllm_forge.run.source import find_sdist
from vllm_forge.run.wheel_member import take_member

HERE = Path(__file__).parent
ROOT = HERE.parent
MOST_BYTES = 60 << 20
ARCH = "x86_64"
PARTS = ("CMakeLists.txt", "PKG-INFO", "setup.py", "pyproject.toml", "requirements", "cmake")
"""Of the tree, besides csrc and vllm: what vllm-forge and CMake read."""
BUILDS = {
    "exports-0.46/fp8": ("export-0.33.1-fp8", "exports-0.46/fp8"),
    "exports-0.46/nvfp4": ("exports-0.46/nvfp4",),
}
"""What each build is specialized for → the checkpoints that run in it."""
PLATFORMS = (*(f"manylinux_2_{minor}_x86_64" for minor in range(39, 4, -1)),)
LEGACY = ("manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64")


def main() -> None:
    """Write the folder and say what is in it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(".gpu-pack"))
    parser.add_argument("--vllm", default="0.26.0")
    parser.add_argument("--torch", default="2.11.0", help="the machine's; the tree has to pin it")
    parser.add_argument("--python", default="3.12", help="the machine's")
    parser.add_argument("--targets", default="_C_stable_libtorch")
    parser.add_argument("--reuse", default="_vllm_fa3_C", help="out of the release's wheel")
    parser.add_argument("--wish", action="append", default=[], help="one more word for the build")
    asked = parser.parse_args()
    home = Home(choose_home(None))
    doors = open_doors(home, lambda _event: None, offline=False)
    output = asked.output.absolute()
    output.mkdir(parents=True, exist_ok=True)
    pack_tree(asked.vllm, asked.torch, output, doors)
    pack_reused(asked.vllm, asked.reuse, output, doors)
    pack_checkpoints(output)
    (output / "targets").write_text(f"{asked.targets}\n")
    (output / "reuse").write_text(f"{asked.reuse}\n")
    (output / "wishes").write_text("".join(f"{word}\n" for word in asked.wish))
    shutil.copy(HERE / "without.txt", output / "without")
    for script in (*HERE.glob("*.sh"), *HERE.glob("*.py")):
        shutil.copy(script, output / script.name)
    pack_wheels(asked.python, output, doors)
    sizes = {path.name: size_of(path) for path in sorted(output.iterdir())}
    for name, size in sizes.items():
        print(f"{size / (1 << 20):7.1f} MiB  {name}")
    total = sum(sizes.values())
    print(f"{total / (1 << 20):7.1f} MiB in {output}")
    if total > MOST_BYTES:
        sys.exit(f"error: more than {MOST_BYTES >> 20} MiB")


def pack_tree(version: str, torch: str, output: Path, doors: Doors) -> None:
    """tree.tar.xz and cutlass.tar.xz; the release has to pin that torch."""
    tree = doors.home.path / "gpu-pack" / f"vllm-{version}"
    if not tree.is_dir():
        file = find_sdist(version, doors.settings, doors.network)
        archive = download(
            file.url,
            doors.home.downloads / file.filename,
            sha256=file.sha256 or "",
            network=doors.network,
            on_progress=lambda _done, _total: None,
        )
        unpack_sdist(archive, tree)
    release = read_release(tree)
    pins = {pin.specifier for pin in release.torch if pin.role == "cuda"}
    if pins != {f"=={torch}"}:
        sys.exit(f"error: vLLM {version} pins torch {', '.join(sorted(pins))}, not {torch}")
    compress(output / "tree.tar.xz", tree, (*PARTS, "csrc", "vllm"))
    cutlass = next(one for one in release.projects if one.name == "cutlass")
    made = unpack_carried(cutlass, cutlass.revision.removeprefix("v"), doors)
    compress(
        output / "cutlass.tar.xz",
        Path(made.folder),
        ("CMakeLists.txt", "include", "tools", "python"),
    )


def compress(archive: Path, root: Path, parts: Iterable[str], *, made: bool = False) -> None:
    """Nothing that Python or a build made goes in, unless it is `made` things that are wanted."""
    if archive.exists():
        return
    with tarfile.open(archive, "w:xz", preset=9) as packed:
        for part in parts:
            packed.add(root / part, part, filter=None if made else _without_made)


def _without_made(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if member.name.endswith(("__pycache__", ".pyc", ".so")) else member


def pack_reused(version: str, target: str, output: Path, doors: Doors) -> None:
    """home.tar.xz: what a home keeps of a wheel and an sdist, enough to take `target` offline."""
    archive = output / "home.tar.xz"
    if archive.exists():
        return
    wheel = read_release_wheel(version, ARCH, doors).value
    if wheel is None:
        sys.exit(f"error: the index has no wheel of vLLM {version}")
    read_manifest(version, doors)
    url = find_file(wheel.filename, wheel.sha256, doors).url
    kept = folder_of_wheel(wheel.filename, doors.home)
    for member in find_members(Asked(target, None), wheel):
        take_member(url, member, kept / member.name, doors.network, lambda _count: None)
    parts = (kept, memory_of(version, ARCH, doors.home), manifest_of(version, doors.home))
    root = doors.home.path
    compress(archive, root, (str(part.relative_to(root)) for part in parts), made=True)


def pack_checkpoints(output: Path) -> None:
    """checkpoints/, and `builds`: a line for each build, what it is for and what runs in it."""
    shutil.rmtree(output / "checkpoints", ignore_errors=True)
    lines = []
    for made_for, runs in BUILDS.items():
        for name in runs:
            place = output / "checkpoints" / flat(name)
            shutil.copytree(ROOT / "tests" / "data" / "checkpoints" / name, place)
        lines.append(" ".join(flat(name) for name in (made_for, *runs)))
    (output / "builds").write_text("".join(f"{line}\n" for line in lines))


def flat(name: str) -> str:
    return name.replace("/", "-")


def pack_wheels(python: str, output: Path, doors: Doors) -> None:
    """wheels/: vllm-forge, what it imports, and what vLLM imports that the machine has not."""
    wheels = output / "wheels"
    wheels.mkdir(exist_ok=True)
    for old in wheels.glob("vllm_forge-*.whl"):
        old.unlink()
    run_uv(doors, "build", "--quiet", "--wheel", "--out-dir", wheels, ROOT)
    platforms = [word for name in (*PLATFORMS, *LEGACY) for word in ("--platform", name)]
    lists = [word for name in ("wheels.txt", "forge.txt") for word in ("-r", HERE / name)]
    subprocess.run(
        [
            *("python3", "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--only-binary=:all:", "--implementation", "cp", "--python-version", python),
            *platforms,
            *("--dest", wheels, *lists),
        ],
        check=True,
    )
    mine = next(wheels.glob("vllm_forge-*.whl"))
    forge = (HERE / "forge.txt").read_text()
    (output / "forge.txt").write_text(f"{forge}vllm-forge=={mine.name.split('-')[1]}\n")


def run_uv(doors: Doors, *words: str | Path) -> None:
    import os  # noqa: PLC0415 -- the environment is the only use

    from vllm_forge.run.uv import uv_program  # noqa: PLC0415 -- likewise

    environ = {**os.environ, **uv_environment(doors.settings, doors.environ)}
    subprocess.run([uv_program(), *words], check=True, env=environ)


def size_of(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())


if __name__ == "__main__":
    main()
