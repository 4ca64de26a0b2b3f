"""Get the tree: the index's sdist, a folder of the user's, or git."""

import os
import re
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

from packaging.version import InvalidVersion, Version

from vllm_forge.records.doors import RunCommand
from vllm_forge.records.plan import Source
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.archive import unpack_sdist
from vllm_forge.run.download import download
from vllm_forge.run.files import made_atomically
from vllm_forge.run.index import IndexFile, IndexSettings, read_project
from vllm_forge.run.lock import locked
from vllm_forge.run.network import Network
from vllm_forge.run.process import work

SDIST = re.compile(r"vllm-[^/\\]+\.tar\.gz")
"""A file name; what an index calls a file becomes a path here."""


def find_sdist(version: str, settings: IndexSettings, network: Network) -> IndexFile:
    """The index's sdist of vLLM `version` (`latest`: the newest release that is not yanked).

    Raises:
        Problem: exit 2 for a version the index does not have, the nearest ones named.
    """
    files = [
        file
        for file in read_project("vllm", settings, network)
        if SDIST.fullmatch(file.filename) and file.version is not None
    ]
    if version == "latest":
        released = [
            file
            for file in files
            if file.version and not file.version.is_prerelease and not file.yanked
        ]
        if not released:
            raise _unknown(version, files)
        return max(released, key=lambda file: file.version or Version("0"))
    try:
        wanted = Version(version)
    except InvalidVersion:
        raise _unknown(version, files) from None
    for file in files:
        if file.version == wanted:
            return file
    raise _unknown(version, files)


def obtain_source(
    action: Source,
    *,
    downloads: Path,
    settings: IndexSettings,
    network: Network,
    log: Path,
    on_progress: Callable[[int, int | None], None] = lambda _done, _total: None,
) -> Path:
    """Make `action.path` the tree and return it; a user's own tree is only looked at.

    When another process makes the same tree meanwhile, its tree is taken.

    Raises:
        Problem: exit 4 for the network, exit 5 for an archive or a folder that is no vLLM tree.
    """
    path = Path(action.path)
    if action.origin != "tree":
        before = is_tree(path)
        with locked(path.with_name(f".{path.name}.lock"), on_wait=lambda _message: None):
            if before or not is_tree(path):
                if action.origin == "git":
                    _clone(action, path, log)
                else:
                    _unpack(action, path, downloads, settings, network, on_progress)
    if not is_tree(path):
        raise Problem(
            f"{path} is not a vLLM source tree: it has no CMakeLists.txt with vllm/ beside it",
            exit_code=ExitCode.BAD_INPUT,
        )
    return path


def is_tree(path: Path) -> bool:
    return (path / "CMakeLists.txt").is_file() and (path / "vllm").is_dir()


def _unpack(
    action: Source,
    path: Path,
    downloads: Path,
    settings: IndexSettings,
    network: Network,
    on_progress: Callable[[int, int | None], None],
) -> None:
    file = find_sdist(action.version or "", settings, network)
    if file.sha256 is None:
        raise Problem(
            f"the index gives no sha256 for {file.filename}",
            hints=("use an index that does",),
            exit_code=ExitCode.UNREACHABLE,
        )
    archive = download(
        file.url,
        downloads / file.filename,
        sha256=file.sha256,
        network=network,
        on_progress=on_progress,
    )
    unpack_sdist(archive, path)


def read_published(
    action: Source, settings: IndexSettings, network: Network, run: RunCommand
) -> str | None:
    """When the tree was made (ISO 8601), as the index or git says; None when neither does."""
    if action.origin in {"tree", "git"} and (Path(action.path) / ".git").exists():
        said = run(["git", "-C", action.path, "log", "-1", "--format=%cI"])
        if said.code == 0 and said.stdout.strip():
            return said.stdout.strip()
    if action.version is None:
        return None
    try:
        return find_sdist(action.version, settings, network).uploaded
    except Problem:
        return None


def _clone(action: Source, path: Path, log: Path) -> None:
    """The one commit, without history; submodules only where a target asks for them later."""
    git: list[str | Path] = [
        "git",
        "-c",
        "advice.detachedHead=false",
        "-c",
        "init.defaultBranch=main",
    ]
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    with made_atomically(path) as half:
        for command in (
            [*git, "init", "--quiet", half],
            [*git, "-C", half, "fetch", "--depth=1", action.url or "", action.ref or "HEAD"],
            [*git, "-C", half, "checkout", "--quiet", "FETCH_HEAD"],
        ):
            worked = work(command, log=log, env=environment)
            if worked.code != 0:
                raise Problem(
                    f"git could not fetch {action.ref or 'HEAD'} of {action.url}",
                    causes=_last_words(log),
                    hints=(
                        "check the URL and the ref; a proxy or mirror: git config url.*.insteadOf",
                    ),
                    exit_code=ExitCode.UNREACHABLE,
                )


def _last_words(log: Path) -> tuple[str, ...]:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    fatal = [line for line in lines if re.match(r"(fatal|error):", line)]
    return tuple((fatal or lines)[-2:])


def _unknown(version: str, files: list[IndexFile]) -> Problem:
    known = sorted({file.version for file in files if file.version}, reverse=True)
    names = [str(one) for one in known]
    if not names:
        return Problem(
            f"vLLM {version} is not on the index, and no other release is",
            hints=("--vllm PATH of a source tree", "pip config list names the index"),
            exit_code=ExitCode.USAGE,
        )
    near = get_close_matches(version, names, n=4, cutoff=0.5) or names[:4]
    return Problem(
        f"vLLM {version} is not on the index; nearest: {', '.join(near)}",
        hints=(f"--vllm {near[0]}",),
        exit_code=ExitCode.USAGE,
    )
