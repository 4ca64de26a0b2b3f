"""The wheel that a release has published: found on the index once, remembered for good."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from packaging.tags import Tag
from packaging.utils import parse_wheel_filename
from packaging.version import InvalidVersion, Version

from vllm_forge.records.codec import parse_json, render_json
from vllm_forge.records.home import Home
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.reuse import ReleaseWheel
from vllm_forge.records.sourced import Sourced
from vllm_forge.run.doors import Doors
from vllm_forge.run.files import write_atomically
from vllm_forge.run.index import IndexFile, read_project
from vllm_forge.verify.release_wheel import parse_release_wheel
from vllm_forge.verify.wheel import open_remote

PROJECT: Final = "vllm"


def read_release_wheel(version: str, arch: str, doors: Doors) -> Sourced[ReleaseWheel]:
    """The wheel of the release that a tree of `version` is, or that it comes after.

    `arch` is the processor's, as `uname -m` says. Unknown where the index has none, or cannot be
    asked and never was: the source then says so. A release's files do not change: what was read
    once is not asked for again.
    """
    memory = memory_of(version, arch, doors.home)
    try:
        known = parse_json(memory.read_bytes(), ReleaseWheel, origin=str(memory))
    except (OSError, Problem):
        try:
            known = _ask(version, arch, doors)
        except Problem as problem:
            said = "; ".join((problem.message, *problem.causes[:1]))
            return Sourced(None, said)
        write_atomically(memory, render_json(known))
    return Sourced(replace(known, kept=_kept(known, doors.home)), known.filename)


def find_file(wheel: str, sha256: str, doors: Doors) -> IndexFile:
    """Where the index has the very wheel that was planned with.

    Raises:
        Problem: exit 4 where it has none of that name, or one with other bytes.
    """
    files = read_project(PROJECT, doors.settings, doors.network)
    file = next((file for file in files if file.filename == wheel), None)
    if file is None or file.sha256 != sha256:
        have = "nothing of that name" if file is None else f"one with sha256 {file.sha256}"
        raise Problem(
            f"the index no longer has {wheel}",
            causes=(f"planned: sha256 {sha256}", f"on the index: {have}"),
            hints=("--strategy full",),
            exit_code=ExitCode.UNREACHABLE,
        )
    return file


def memory_of(version: str, arch: str, home: Home) -> Path:
    """Where what the index said of a release's wheel is remembered."""
    return home.wheels / f"{PROJECT}-{version}-{arch}.json"


def folder_of_wheel(wheel: str, home: Home) -> Path:
    """Where members that were taken out are kept."""
    return home.wheels / wheel.removesuffix(".whl")


def _ask(version: str, arch: str, doors: Doors) -> ReleaseWheel:
    wheels = [
        (file, tags)
        for file in read_project(PROJECT, doors.settings, doors.network)
        if (tags := tags_of(file)) and not file.yanked and file.sha256 and file.size
    ]
    release = base_release(version, [file.version for file, _ in wheels if file.version])
    if release is None:
        raise Problem(f"the index has no wheel of vLLM {version}, nor of a release before it")
    fitting = [
        file
        for file, tags in wheels
        if file.version == release and any(tag.platform.endswith(f"_{arch}") for tag in tags)
    ]
    if not fitting:
        raise Problem(f"the index has no wheel of vLLM {release} for {arch}")
    file = fitting[0]
    with open_remote(file.url, file.size or 0, doors.network) as opened:
        return parse_release_wheel(opened, file.filename, sha256=file.sha256 or "")


def tags_of(file: IndexFile) -> frozenset[Tag]:
    """The tags of a wheel; none for a file that is none, or whose name follows no rule."""
    if not file.filename.endswith(".whl") or file.version is None:
        return frozenset()
    return parse_wheel_filename(file.filename)[3]


def base_release(version: str, published: list[Version]) -> Version | None:
    """The newest final release that a tree of `version` is, or comes after.

    >>> base_release("0.10.2.dev5+gabc", [Version("0.10.0"), Version("0.10.1"), Version("0.10.2")])
    <Version('0.10.1')>
    """
    try:
        own = Version(version)
    except InvalidVersion:
        return None
    earlier = [
        one
        for one in published
        if (one <= own and not one.is_prerelease) or one.public == own.public
    ]
    return max(earlier, default=None)


def _kept(wheel: ReleaseWheel, home: Home) -> frozenset[str]:
    folder = folder_of_wheel(wheel.filename, home)
    return frozenset(member.name for member in wheel.members if (folder / member.name).is_file())
