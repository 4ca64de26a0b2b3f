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


def gcc_to_install(offered: tuple[int, ...] | None, least: int, most: int | None) -> str | None:
    """The package of a g++ in that range: the newest that the distribution has.

    Where `offered` is not known, the newest or the oldest allowed; None where nothing fits.

    >>> gcc_to_install((11, 12), 9, 15), gcc_to_install((11, 12), 13, 15)
    ('g++-12', None)
    >>> gcc_to_install(None, 9, 13), gcc_to_install(None, 13, None)
    ('g++-13', 'g++-13')
    """
    if offered is None:
        return f"g++-{least if most is None else most}"
    fit = [each for each in offered if least <= each <= (each if most is None else most)]
    return f"g++-{max(fit)}" if fit else None


def gib(size: int) -> str:
    """Bytes for people.

    >>> gib(25276502016)
    '23.5 GiB'
    """
    return f"{size / GIB:.1f} GiB"
