"""The cgroups above this process, version 1, 2, or both at once, and the limits they set.

A limit binds from any level: a container's own group may be unlimited inside a limited one. So
every level is read, from the process's group up to the root of the mount that is visible here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

NO_LIMIT: Final = 1 << 60
"""Version 1 has no word for "none": it prints a number near 2^63 (PAGE_COUNTER_MAX)."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of mountinfo: which cgroup folder (`root`) is seen at `point`."""

    version: int
    controllers: frozenset[str]
    root: PurePosixPath
    point: PurePosixPath


@dataclass(frozen=True, slots=True)
class Level:
    """One cgroup folder that binds this process for one controller."""

    version: int
    folder: Path


def parse_mounts(mountinfo: str) -> tuple[Mount, ...]:
    """The cgroup lines of /proc/self/mountinfo (proc_pid_mountinfo(5)).

    >>> line = "35 31 0:32 /docker/a /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
    >>> [mount] = parse_mounts(line)
    >>> mount.version, set(mount.controllers), str(mount.root), str(mount.point)
    (1, {'memory'}, '/docker/a', '/sys/fs/cgroup/memory')
    """
    found = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3 or kind[0] not in {"cgroup", "cgroup2"}:  # noqa: PLR2004
            continue
        version = 2 if kind[0] == "cgroup2" else 1
        options = frozenset(kind[2].split(",")) - {"rw", "ro"} if version == 1 else frozenset()
        found.append(
            Mount(version, options, PurePosixPath(fields[3]), PurePosixPath(unescape(fields[4])))
        )
    return tuple(found)


def unescape(field: str) -> str:
    r"""Mountinfo writes blanks as octal: `\040`."""
    return field.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")


def parse_membership(cgroup: str) -> dict[str, PurePosixPath]:
    r"""/proc/self/cgroup: controller → path; the unified hierarchy has the empty name.

    >>> found = parse_membership("4:memory:/a/b\n2:cpu,cpuacct:/\n0::/init.scope")
    >>> {controller: str(path) for controller, path in found.items()}
    {'memory': '/a/b', 'cpu': '/', 'cpuacct': '/', '': '/init.scope'}
    """
    found = {}
    for line in cgroup.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number.isdigit() and path.startswith("/"):
            for controller in controllers.split(","):
                found[controller] = PurePosixPath(path)
    return found


def levels(
    mounts: tuple[Mount, ...],
    membership: dict[str, PurePosixPath],
    controller: str,
    *,
    root: Path = Path("/"),
) -> Iterator[Level]:
    """Folders that bind this process for `controller`, innermost first, both versions.

    Where the group's path does not lie under the mounted root (a container that mounts only its own
    group, without a cgroup namespace), the mount point itself is this process's group.
    """
    for mount in mounts:
        named = controller if mount.version == 1 else ""
        if named not in membership or (mount.version == 1 and controller not in mount.controllers):
            continue
        path = membership[named]
        inner = path.relative_to(mount.root) if path.is_relative_to(mount.root) else None
        outermost = root / mount.point.relative_to("/")
        folder = outermost if inner is None else outermost / inner
        while True:
            yield Level(mount.version, folder)
            if folder == outermost or not folder.is_relative_to(outermost):
                break
            folder = folder.parent


def read_levels(controller: str, *, root: Path = Path("/")) -> tuple[Level, ...]:
    """() where cgroups are not to be seen."""
    try:
        mounts = parse_mounts((root / "proc/self/mountinfo").read_text(errors="replace"))
        membership = parse_membership((root / "proc/self/cgroup").read_text(errors="replace"))
    except OSError:
        return ()
    return tuple(levels(mounts, membership, controller, root=root))


def parse_limit(text: str) -> int | None:
    """Bytes; None for no limit.

    >>> [parse_limit(text) for text in ("max", "9223372036854771712", "17179869184", "")]
    [None, None, 17179869184, None]
    """
    text = text.strip()
    return int(text) if text.isdigit() and int(text) < NO_LIMIT else None


def read_number(path: Path) -> int | None:
    """A cgroup file that holds one number; None where it says none or is not there."""
    try:
        return parse_limit(path.read_text())
    except OSError:
        return None
