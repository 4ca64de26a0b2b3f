"""Words that several rules give as advice."""

from vllm_forge.records.machine import Machine
from vllm_forge.resolve.system_packages import DEBIAN_LIKE

GIB = 1 << 30


def install_line(machine: Machine, debian: str, fedora: str) -> str:
    """The distribution's own install command, with sudo where it is needed."""
    system = machine.os.id if machine.os is not None else ""
    sudo = "" if machine.root else "sudo "
    if system in {"fedora", "rhel", "rocky", "almalinux", "centos", "amzn"}:
        return f"{sudo}dnf install {fedora}"
    if system in DEBIAN_LIKE or not system:
        return f"{sudo}apt-get install {debian}"
    return f"install what your distribution calls {debian}"


def gib(size: int) -> str:
    """Bytes for people.

    >>> gib(25276502016)
    '23.5 GiB'
    """
    return f"{size / GIB:.1f} GiB"
