"""Which programs there are: the folders of PATH, read once for every question about programs."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

Programs = Mapping[str, tuple[Path, ...]]
"""Program name → every file of that name on PATH, in PATH order."""


def parse_path(value: str) -> tuple[Path, ...]:
    """Folders of a PATH-like variable, each once, in order.

    Relative and empty entries are left out: they name another folder in every working directory.

    >>> parse_path("/usr/bin:/opt/x/bin:/usr/bin::bin")
    (PosixPath('/usr/bin'), PosixPath('/opt/x/bin'))
    """
    return tuple(dict.fromkeys(Path(entry) for entry in value.split(":") if entry.startswith("/")))


def read_programs(folders: tuple[Path, ...]) -> Programs:
    """Every name in these folders. Whether one can be run is asked by `runnable`, when needed."""
    found: dict[str, list[Path]] = {}
    for folder in folders:
        try:
            names = os.listdir(folder)  # noqa: PTH208 -- Path.iterdir makes 3,000 paths to drop
        except OSError:
            continue
        for name in names:
            found.setdefault(name, []).append(folder / name)
    return {name: tuple(paths) for name, paths in found.items()}


def runnable(path: Path) -> bool:
    """A file this user may execute."""
    return path.is_file() and os.access(path, os.X_OK)


def each_once(paths: Iterator[Path]) -> Iterator[tuple[Path, Path]]:
    """(path, real path) for every runnable path whose real path did not come before."""
    seen = set()
    for path in paths:
        if not runnable(path):
            continue
        real = path.resolve()
        if real not in seen:
            seen.add(real)
            yield path, real
