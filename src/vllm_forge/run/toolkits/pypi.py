"""CUDA 13 from the package index: NVIDIA's own wheels, of which nvcc's is complete from 13.0 on.

`cuda-toolkit` is a wheel without files whose extra `all` pins the wheels of one toolkit. Which file
of each, its size and its sha256 come from the index; uv fetches and checks them, because an
environment with torch's CUDA 13 build holds the same wheels of the mathematical libraries and uv
keeps every wheel once. Of those only the headers go into the prefix.
"""

import sys
import zipfile
from email.parser import BytesParser
from pathlib import Path
from shutil import rmtree
from typing import Final

from packaging.requirements import Requirement
from packaging.tags import Tag, sys_tags
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from vllm_forge.records.decision import Reason, Refused
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.toolkit import Archive, Offer
from vllm_forge.resolve.cuda_facts import parts_of
from vllm_forge.run.doors import Doors
from vllm_forge.run.download import download
from vllm_forge.run.files import write_atomically
from vllm_forge.run.index import IndexFile, read_project, uv_environment
from vllm_forge.run.toolkits.layout import place_of_nvidia
from vllm_forge.run.toolkits.provider import SUBJECT, Asked, Recipe, Tell
from vllm_forge.run.toolkits.unpack import move_needed
from vllm_forge.run.uv import Uv

METAPACKAGE: Final = "cuda-toolkit"
FIRST_WITH_NVCC: Final = 13
"""Major version; the wheels of 12 hold ptxas and libnvvm, and no nvcc."""

WHEELS: Final = frozenset(
    {
        *("nvidia-cuda-nvcc", "nvidia-nvvm", "nvidia-cuda-crt", "nvidia-cuda-cuobjdump"),
        *("nvidia-cuda-runtime", "nvidia-cuda-culibos", "nvidia-cuda-cccl", "nvidia-nvtx"),
        *("nvidia-cuda-profiler-api", "nvidia-nvml-dev", "nvidia-cuda-nvrtc"),
        *("nvidia-cublas", "nvidia-cusparse", "nvidia-cusolver", "nvidia-curand"),
    }
)
"""What vLLM and torch's headers include and their CMake links. One that a toolkit has not
(cuobjdump before 13.2) is passed over; what is missing then is named by the proof."""

UNPACKED_BYTES: Final = 1_900_000_000
"""The wheels unpacked once by uv; the prefix keeps the smaller part (docs/toolkits.md)."""


def offer_pypi(asked: Asked, doors: Doors) -> Recipe | Refused:
    """The newest toolkit on the index that the wish allows."""
    wished = parts_of(asked.version)
    if wished[0] < FIRST_WITH_NVCC:
        fact = f"the index has no whole nvcc of CUDA {asked.version}, only of 13.0 and newer"
        return Refused(SUBJECT, (Reason(fact, "nvidia-cuda-nvcc-cu12"),))
    meta = _newest(read_project(METAPACKAGE, doors.settings, doors.network), wished)
    if meta is None:
        fact = f"the index has no {METAPACKAGE} {asked.version}"
        return Refused(SUBJECT, (Reason(fact, doors.settings.source),))
    wheel = download(
        meta.url,
        doors.home.downloads / meta.filename,
        sha256=_digest(meta),
        network=doors.network,
    )
    pins = parse_pins(_metadata(wheel))
    tags = frozenset(sys_tags())
    files = {pin.name: _file_of(pin, doors, tags) for pin in pins}
    nvcc = files["nvidia-cuda-nvcc"].version
    offer = Offer(
        provider="pypi",
        nvcc=str(nvcc),
        archives=tuple(
            Archive(file.filename, file.url, _digest(file), file.size) for file in files.values()
        ),
        unpacked_bytes=UNPACKED_BYTES,
        origin=f"{METAPACKAGE} {meta.version} of the package index ({doors.settings.source})",
    )

    def fill(prefix: Path, _tell: Tell) -> None:
        _install(files, prefix, doors)

    return Recipe(offer, fill, lambda: wheel.unlink(missing_ok=True))


def parse_pins(metadata: bytes) -> tuple[Requirement, ...]:
    """What the metapackage's extra `all` pins on this platform, of the needed wheels.

    >>> line = b"Requires-Dist: nvidia-nvvm==13.0.88.*; extra == 'all'" + bytes([10])
    >>> [str(pin) for pin in parse_pins(line + b"Requires-Dist: nvidia-npp==1; extra == 'all'")]
    ['nvidia-nvvm==13.0.88.*; extra == "all"']
    """
    pins = [
        Requirement(line)
        for line in BytesParser().parsebytes(metadata).get_all("Requires-Dist", [])
    ]
    return tuple(
        pin
        for pin in pins
        if pin.name in WHEELS and pin.marker and pin.marker.evaluate({"extra": "all"})
    )


def _newest(files: tuple[IndexFile, ...], wished: tuple[int, ...]) -> IndexFile | None:
    """The newest released version whose first numbers are the wished ones.

    nvcc's own number (13.0.88) is no version of the metapackage: two numbers decide then.
    """
    released = [
        file
        for file in files
        if file.filename.endswith(".whl")
        and file.version is not None
        and not file.version.is_prerelease
        and not file.yanked
    ]
    for size in (len(wished), 2):
        fit = [
            file
            for file in released
            if file.version and file.version.release[:size] == wished[:size]
        ]
        if fit:
            return max(fit, key=lambda file: file.version or Version("0"))
    return None


def _file_of(pin: Requirement, doors: Doors, tags: frozenset[Tag]) -> IndexFile:
    """The newest wheel of this platform that the pin allows.

    Raises:
        Problem: exit 4 when the index has none.
    """
    fit = [
        file
        for file in read_project(pin.name, doors.settings, doors.network)
        if file.filename.endswith(".whl")
        and file.version is not None
        and pin.specifier.contains(file.version)
        and tags & parse_wheel_filename(file.filename)[3]
    ]
    if not fit:
        raise Problem(
            f"the index has no wheel of {pin.name}{pin.specifier} for this machine",
            causes=(f"asked: {doors.settings.source}",),
            exit_code=ExitCode.UNREACHABLE,
        )
    return max(fit, key=lambda file: file.version or Version("0"))


def _digest(file: IndexFile) -> str:
    if file.sha256 is None:
        raise Problem(
            f"the index gives no sha256 for {file.filename}",
            hints=("use an index that does",),
            exit_code=ExitCode.UNREACHABLE,
        )
    return file.sha256


def _metadata(wheel: Path) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as opened:
            (name,) = [each for each in opened.namelist() if each.endswith(".dist-info/METADATA")]
            return opened.read(name)
    except (zipfile.BadZipFile, ValueError) as error:
        raise Problem(f"{wheel.name} is damaged: {error}", exit_code=ExitCode.BAD_INPUT) from error


def _install(files: dict[str, IndexFile], prefix: Path, doors: Doors) -> None:
    """Let uv put exactly these files into a folder, then keep what a build needs."""
    wheels = prefix / "wheels"
    wanted = prefix / "wheels.txt"
    lines = [
        f"{name}=={file.version} --hash=sha256:{file.sha256}\n" for name, file in files.items()
    ]
    write_atomically(wanted, "".join(lines))
    log = doors.home.logs("toolkits") / f"{prefix.name}.log"
    log.unlink(missing_ok=True)
    uv = Uv(uv_environment(doors.settings, doors.environ), log, doors.offline)
    uv(
        *("pip", "install", "--python", sys.executable, "--target", wheels),
        *("--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", wanted),
        failed="the toolkit's wheels could not be installed",
    )
    move_needed(wheels, prefix, place_of_nvidia)
    rmtree(wheels)
    wanted.unlink()
    link_plain_names(prefix / "lib64")


def link_plain_names(folder: Path) -> None:
    """libcudart.so → libcudart.so.13: wheels hold no links, and the linker asks for plain names."""
    for library in sorted(folder.glob("lib*.so.*")):
        plain = folder / f"{library.name.partition('.so.')[0]}.so"
        if not plain.exists():
            plain.symlink_to(library.name)
