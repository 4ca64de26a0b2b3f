"""Which torch the extensions are compiled against and run with."""

from dataclasses import dataclass

from packaging.markers import Marker
from packaging.specifiers import SpecifierSet

from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.machine import Machine, Python
from vllm_forge.records.release import Release, TorchPin
from vllm_forge.records.wishes import Device, Wishes


@dataclass(frozen=True, slots=True)
class Target:
    """The environment that markers are judged for: not this process, the planned one."""

    arch: str
    python: str

    def holds(self, marker: str | None) -> bool:
        """PEP 508, for Linux on `arch` with that Python."""
        if marker is None:
            return True
        return Marker(marker).evaluate(
            {
                "platform_machine": self.arch,
                "platform_system": "Linux",
                "sys_platform": "linux",
                "os_name": "posix",
                "python_version": ".".join(self.python.split(".")[:2]),
                "python_full_version": self.python,
                "implementation_name": "cpython",
                "platform_python_implementation": "CPython",
                "extra": "",
            }
        )


def target_of(machine: Machine, python: Python) -> Target:
    """An unknown architecture is read as x86_64, the only one vLLM publishes everything for."""
    return Target(machine.cpu.arch or "x86_64", python.version)


def choose_torch(wishes: Wishes, device: Device, target: Target, release: Release) -> Decision[str]:
    """The tree's pin for the device, or what was wished for with a word about the pin.

    The value is a public version (`2.6.0`): `==2.6.0` admits `2.6.0+cpu` and `2.6.0+cu124`, so the
    index decides which build it has. A pin of the build system that differs is what plain
    `pip install -e .` would have compiled against.
    """
    pins = pins_for(release, device, target)
    pinned = next((pin for pin in pins if exact_version(pin)), None)
    build = next((pin for pin in release.torch if pin.role == "build" and exact_version(pin)), None)
    if wishes.torch is not None:
        return _wished(wishes.torch, pinned or build, release)
    chosen = pinned or build
    if chosen is None:
        return Refused(
            "torch",
            (Reason(f"the tree pins no torch for {device}", f"requirements/{device}.txt"),),
            ("name one: --torch VERSION",),
        )
    version = exact_version(chosen)
    because = [Reason(f"the tree pins torch{chosen.specifier} for {device}", chosen.source)]
    if build is not None and exact_version(build) != version:
        because.append(
            Reason(
                f"pip's build isolation would have compiled against torch{build.specifier} and run "
                f"with {version}",
                build.source,
            )
        )
    return Chosen("torch", str(version), tuple(because))


def pins_for(release: Release, device: Device, target: Target) -> list[TorchPin]:
    """What the tree asks of torch for that device there."""
    return [pin for pin in release.torch if pin.role == device.value and target.holds(pin.marker)]


def exact_version(pin: TorchPin) -> str | None:
    """The public version of an `==` pin, None for a range."""
    for one in SpecifierSet(pin.specifier):
        if one.operator in {"==", "==="}:
            return one.version.split("+")[0]
    return None


def _wished(wish: str, pin: TorchPin | None, release: Release) -> Decision[str]:
    because = (Reason(f"--torch {wish}", "the command line"),)
    if pin is None or exact_version(pin) == wish:
        return Chosen("torch", wish, because)
    return Chosen(
        "torch",
        wish,
        (*because, Reason(f"the tree pins torch{pin.specifier}", pin.source)),
        warnings=(f"vLLM {release.version.value} is tested with torch{pin.specifier}, not {wish}",),
    )
