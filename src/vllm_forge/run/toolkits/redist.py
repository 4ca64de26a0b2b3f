"""Toolkits from a folder of NVIDIA's redistributables: redistrib_X.Y.Z.json and its archives.

The folder is one that the user names (--url or VLLM_FORGE_REDIST_URL): NVIDIA's own, or a mirror
of it. The JSON pins each component's archive with sha256 and size.
"""

import re
from pathlib import Path
from platform import machine
from shutil import rmtree
from typing import Any, Final

import msgspec

from vllm_forge.records.decision import Reason, Refused
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.toolkit import Archive, Offer
from vllm_forge.resolve.cuda_facts import parts_of
from vllm_forge.run.doors import Doors
from vllm_forge.run.download import download
from vllm_forge.run.toolkits.layout import place_of_nvidia
from vllm_forge.run.toolkits.provider import SUBJECT, Asked, Recipe, Tell
from vllm_forge.run.toolkits.unpack import unpack_tar_xz

VARIABLE: Final = "VLLM_FORGE_REDIST_URL"
COMPONENTS: Final = (
    *("cuda_nvcc", "cuda_cudart", "cuda_cccl", "cuda_nvtx", "cuda_profiler_api", "cuda_nvml_dev"),
    *("cuda_crt", "libnvvm", "cuda_culibos", "cuda_cuobjdump", "cuda_nvrtc"),
    *("libcublas", "libcusparse", "libcusolver", "libcurand"),
)
"""Those of the second line are parts of cuda_nvcc and cuda_cudart before CUDA 13."""

NEEDED: Final = frozenset({"cuda_nvcc", "cuda_cudart", "cuda_cccl"})
PLATFORMS: Final = {"x86_64": "linux-x86_64", "aarch64": "linux-sbsa"}
LISTED: Final = re.compile(r"redistrib_(\d+\.\d+\.\d+)\.json")
UNPACKED_BYTES: Final = 500_000_000


class _File(msgspec.Struct):
    relative_path: str
    sha256: str
    size: str | int | None = None


def offer_redist(asked: Asked, doors: Doors) -> Recipe | Refused:
    """The newest toolkit of the folder that the wish allows."""
    base = asked.url or doors.environ.get(VARIABLE)
    if not base:
        reason = Reason("no folder of redistributables is named", f"--url, {VARIABLE}")
        way = f"vllm-forge toolkit add {asked.version} --provider redist --url URL"
        return Refused(SUBJECT, (reason,), (way,))
    base = base.rstrip("/")
    listing = doors.network(f"{base}/").decode(errors="replace")
    version = choose_release(listing, asked.version)
    if version is None:
        there = ", ".join(sorted(set(LISTED.findall(listing)), key=parts_of)) or "none"
        fact = f"{base} has no CUDA {asked.version}; it has {there}"
        return Refused(SUBJECT, (Reason(fact, "its listing"),))
    name = f"redistrib_{version}.json"
    platform = PLATFORMS.get(machine(), machine())
    nvcc, archives = parse_manifest(doors.network(f"{base}/{name}"), platform, base, name)
    offer = Offer("redist", nvcc, archives, UNPACKED_BYTES, f"CUDA {version} of {base}")
    folder = doors.home.downloads / f"redist-{version}"

    def fill(prefix: Path, tell: Tell) -> None:
        done = 0
        for archive in archives:

            def progress(now: int, _total: int | None, before: int = done) -> None:
                tell(before + now)

            download(
                archive.url,
                folder / archive.name,
                sha256=archive.sha256,
                network=doors.network,
                on_progress=progress,
            )
            done += archive.size or 0
        for archive in archives:
            unpack_tar_xz(folder / archive.name, prefix, place_of_nvidia)

    return Recipe(offer, fill, lambda: rmtree(folder, ignore_errors=True))


def choose_release(listing: str, wish: str) -> str | None:
    """The newest release whose first numbers are the wished ones; nvcc's third is no release's.

    >>> page = '<a href="redistrib_12.4.0.json"> <a href="redistrib_12.4.1.json">'
    >>> [choose_release(page, wish) for wish in ("12.4", "12.4.0", "12.4.131", "12.5")]
    ['12.4.1', '12.4.0', '12.4.1', None]
    """
    wished = parts_of(wish)
    listed: list[str] = LISTED.findall(listing)
    for size in (len(wished), 2):
        fit = [each for each in listed if parts_of(each)[:size] == wished[:size]]
        if fit:
            return max(fit, key=parts_of)
    return None


def parse_manifest(
    text: bytes, platform: str, base: str, origin: str
) -> tuple[str, tuple[Archive, ...]]:
    """(nvcc's version, archives of the needed components) of a redistrib JSON.

    Raises:
        Problem: exit 5 for a manifest without nvcc, or with a place outside its folder.
    """
    try:
        manifest = msgspec.json.decode(text, type=dict[str, Any])
        found: dict[str, Archive] = {}
        for component in COMPONENTS:
            entry = manifest.get(component)
            if not isinstance(entry, dict) or platform not in entry:
                continue
            file = msgspec.convert(entry[platform], _File)
            if ".." in file.relative_path.split("/") or "://" in file.relative_path:
                raise msgspec.ValidationError(f"{component} lies at {file.relative_path}")
            found[component] = Archive(
                name=Path(file.relative_path).name,
                url=f"{base}/{file.relative_path}",
                sha256=file.sha256,
                size=None if file.size is None else int(file.size),
            )
        missing = NEEDED - found.keys()
        if missing:
            raise msgspec.ValidationError(f"no {', '.join(sorted(missing))} for {platform}")
        return str(manifest["cuda_nvcc"]["version"]), tuple(found.values())
    except (msgspec.DecodeError, KeyError, ValueError) as error:
        raise Problem(f"{origin}: {error}", exit_code=ExitCode.BAD_INPUT) from error
