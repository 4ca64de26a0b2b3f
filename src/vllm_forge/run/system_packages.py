"""Headers and libraries of the distribution, unpacked under the forge's home without root.

apt itself fetches and checks them (signatures, hashes), with lists of its own so that neither root
nor the system's state is needed; dpkg-deb unpacks. Nothing is installed, no script of a package
runs.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

from vllm_forge.records.plan import SystemPackages
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.files import made_atomically
from vllm_forge.run.lock import locked
from vllm_forge.run.process import Worked, work


def unpack_system_packages(
    action: SystemPackages, *, log: Path, on_line: Callable[[str], None] = lambda _: None
) -> tuple[Path, ...]:
    """Make `action.into` hold the files of the packages; return it as the one thing made.

    Raises:
        Problem: exit 4 when apt cannot fetch them, exit 1 when one cannot be unpacked.
    """
    into = Path(action.into)
    if action.install:
        _install(action, log, on_line)
        return ()
    before = into.exists()
    with locked(into.with_name(f".{into.name}.lock"), on_wait=on_line):
        if before or not into.exists():  # else another process has just made it
            _unpack(action, into, log, on_line)
    return (into,)


def _unpack(action: SystemPackages, into: Path, log: Path, on_line: Callable[[str], None]) -> None:
    with made_atomically(into) as half:
        state = half / "apt"
        (state / "lists" / "partial").mkdir(parents=True)
        (state / "archives" / "partial").mkdir(parents=True)
        options = [
            f"-oDir::State::Lists={state / 'lists'}",
            f"-oDir::Cache={state}",
            "-oDebug::NoLocking=1",
            "-oAPT::Sandbox::User=",
        ]
        _must(work(["apt-get", *options, "update"], log=log, env=_plain(), on_line=on_line), log)
        names = [*action.packages]
        fetched = work(
            ["apt-get", *options, "download", *names],
            log=log,
            env=_plain(),
            cwd=state / "archives",
            on_line=on_line,
        )
        _must(fetched, log)
        root = half / "root"
        for package in sorted((state / "archives").glob("*.deb")):
            unpacked = work(["dpkg-deb", "-x", package, root], log=log, env=_plain())
            if unpacked.code != 0:
                raise Problem(f"{package.name} could not be unpacked", causes=(f"log: {log}",))
        _forget(state)


def include_folders(into: Path) -> tuple[Path, ...]:
    """The include folders of an unpacked prefix that hold anything."""
    base = into / "root" / "usr" / "include"
    folders = [base, *base.glob("*-linux-gnu"), *base.glob("python3*")]
    return tuple(folder for folder in folders if folder.is_dir())


def library_folders(into: Path) -> tuple[Path, ...]:
    """The library folders of an unpacked prefix."""
    folders = [*(into / "root" / "usr" / "lib").glob("*-linux-gnu")]
    return tuple(folder for folder in folders if folder.is_dir())


def python_include(into: Path, version: str) -> Path | None:
    """Where Python.h of that minor version lies in an unpacked prefix."""
    minor = re.match(r"\d+\.\d+", version)
    folder = into / "root" / "usr" / "include" / f"python{minor[0] if minor else ''}"
    return folder if (folder / "Python.h").exists() else None


def _install(action: SystemPackages, log: Path, on_line: Callable[[str], None]) -> None:
    environment = _plain() | {"DEBIAN_FRONTEND": "noninteractive"}
    _must(work(["apt-get", "update"], log=log, env=environment, on_line=on_line), log)
    _must(
        work(
            ["apt-get", "install", "-y", "--no-install-recommends", *action.packages],
            log=log,
            env=environment,
            on_line=on_line,
        ),
        log,
    )


def _must(worked: Worked, log: Path) -> None:
    if worked.code != 0:
        raise Problem(
            "apt-get could not fetch the distribution's packages",
            causes=(f"log: {log}",),
            hints=("check the network and the apt sources, then run again",),
            exit_code=ExitCode.UNREACHABLE,
        )


def _plain() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C.UTF-8"}


def _forget(state: Path) -> None:
    """The lists are large and of no further use; the packages' files stay."""
    for folder in ("lists", "archives"):
        for file in (state / folder).rglob("*"):
            if file.is_file():
                file.unlink()
