"""Which headers and libraries of the distribution are missing, and who packs them."""

from pathlib import PurePath

from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.machine import Machine, Python
from vllm_forge.records.plan import SystemPackages

DEBIAN_LIKE = frozenset({"debian", "ubuntu", "linuxmint", "pop", "raspbian", "kali"})

OTHER_NAMES = {
    "fedora": "dnf install numactl-devel python3-devel",
    "rhel": "dnf install numactl-devel python3-devel",
    "rocky": "dnf install numactl-devel python3-devel",
    "almalinux": "dnf install numactl-devel python3-devel",
    "amzn": "dnf install numactl-devel python3-devel",
    "opensuse-leap": "zypper install libnuma-devel python3-devel",
    "arch": "pacman -S numactl",
    "alpine": "vLLM needs glibc: use a Debian, Ubuntu or Fedora container",
}


def choose_system_packages(
    machine: Machine, python: Python, *, needs_libnuma: bool, into: str, install: bool
) -> Decision[SystemPackages | None]:
    """What has to be unpacked under `into`, or None where nothing is missing.

    Each distribution's release and set of packages has a folder of its own there: two plans that
    need different packages would otherwise take each other's away.

    libnuma is linked by the CPU target of every tree read (cmake/cpu_extension.cmake appends
    `numa`). The chosen Python's headers are needed by every extension.
    """
    packages: list[str] = []
    needs: list[str] = []
    if needs_libnuma and machine.libraries.libnuma is False:
        packages += ["libnuma-dev", "libnuma1"]
        needs.append("numa.h, which the CPU target links")
    if python.headers is False:
        minor = ".".join(python.version.split(".")[:2])
        packages += [f"libpython{minor}-dev"]
        needs.append(f"Python.h of {python.path}")
    because = tuple(
        Reason(f"missing: {need}", "looked in the compiler's folders") for need in needs
    )
    if not packages:
        there = Reason("every header that is needed is there", "the compiler's folders")
        return Chosen("system_packages", None, (there,))
    system = machine.os.id if machine.os else None
    if system not in DEBIAN_LIKE:
        act = OTHER_NAMES.get(system or "", "install libnuma's and Python's development packages")
        return Refused("system_packages", because, (act,))
    release = f"{system}-{machine.os.version}" if machine.os and machine.os.version else system
    room = str(PurePath(into, "-".join((release or "", *packages))))
    return Chosen(
        "system_packages", SystemPackages(tuple(packages), tuple(needs), room, install), because
    )
