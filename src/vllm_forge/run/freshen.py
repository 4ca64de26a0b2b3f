"""Before ninja: objects that it would take for fresh and that are not, and the other way round.

ninja goes by times. A file put back with an old time (cp -p, tar, an installer's hard link) looks
older than the object made from its other content; a file that a checkout wrote anew with the same
content looks changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import time_ns

import msgspec

from vllm_forge.run.files import mtime_of, write_atomically
from vllm_forge.run.ninja_deps import read_ninja_deps
from vllm_forge.run.watched import Change, Watched, put_times_back

Attempts = dict[str, list[tuple[int, str]]]
"""Path → what it held (its digest) from which moment on (ns), in builds that did not make every
object anew that reads it: they failed, or took extensions from the store."""


@dataclass(frozen=True, slots=True)
class Workpiece:
    """`attempts` is a file of ours, `build` CMake's folder."""

    attempts: Path
    build: Path


def freshen(work: Workpiece, before: Watched, now: Watched, change: Change) -> tuple[str, ...]:
    """Remove what was made from other contents than there are now; the outputs removed.

    `before` is what the last build that ended well stood on.
    """
    put_times_back(before, change.touched)
    removed = _remove_namesakes(work.build, change.names)
    attempts = _read_attempts(work.attempts)
    suspects = {*change.changed, *attempts}
    if not suspects:
        return removed
    removed += _remove_stale(work.build, suspects, before, now, attempts)
    moment = time_ns()
    for path in suspects:
        held = attempts.setdefault(path, [(0, _digest(before, path))])
        held.append((moment, _digest(now, path)))
    write_atomically(work.attempts, msgspec.json.encode(attempts))
    return removed


def end_attempts(work: Workpiece) -> None:
    """Ninja has ended well: every object is made from what there was when it began."""
    work.attempts.unlink(missing_ok=True)


def _remove_stale(
    build: Path, suspects: set[str], before: Watched, now: Watched, attempts: Attempts
) -> tuple[str, ...]:
    removed = []
    read = set[str]()
    for output, deps in read_ninja_deps(build).items():
        place = build / output
        found = suspects.intersection(deps.files)
        read |= found
        made = mtime_of(place)
        if made is not None and any(
            _content_at(path, made, before, attempts) != _digest(now, path)
            and not _newer(path, made)
            for path in found
        ):
            place.unlink()
            removed.append(output)
    if suspects - read:  # a library that is linked, or what else no compiler says it reads
        for library in build.glob("*.so"):
            library.unlink()
            removed.append(library.name)
    return tuple(removed)


def _remove_namesakes(build: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Objects that read a file of such a name: a new one may come first on the include path."""
    wanted = {Path(name).name for name in names}
    removed = []
    for output, deps in read_ninja_deps(build).items() if wanted else ():
        if any(path.rpartition("/")[2] in wanted for path in deps.files):
            (build / output).unlink(missing_ok=True)
            removed.append(output)
    return tuple(removed)


def _content_at(path: str, moment: int, before: Watched, attempts: Attempts) -> str:
    """What the file held when an object of that time was made."""
    held = _digest(before, path)
    for began, digest in attempts.get(path, ()):
        if began <= moment:
            held = digest
    return held


def _digest(watched: Watched, path: str) -> str:
    """Empty where the file was not there, or its content is not known."""
    seen = watched.inside.get(path) or watched.outside.get(path)
    return "" if seen is None else seen[3] or f"{seen[:3]}"


def _newer(path: str, moment: int) -> bool:
    try:
        return Path(path).stat().st_mtime_ns > moment
    except OSError:
        return True  # ninja itself misses it


def _read_attempts(path: Path) -> Attempts:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Attempts)
    except (OSError, msgspec.DecodeError):
        return {}
