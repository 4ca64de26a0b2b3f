"""A Python and a torch that are there already, used as they are (`--torch-from`)."""

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.lent import Lent
from vllm_forge.records.machine import Python
from vllm_forge.records.release import Release
from vllm_forge.records.sourced import Sourced
from vllm_forge.records.wishes import Device, Wishes
from vllm_forge.resolve.python import fits, wished
from vllm_forge.resolve.torch import Target, exact_version, pins_for

WITHOUT = "leave out --torch-from: the forge then makes an environment of its own"


def choose_lent_python(wishes: Wishes, lent: Lent, release: Release) -> Decision[Python]:
    """The interpreter that lends torch is the one whose packages the environment shows."""
    python = Python(lent.version, lent.python, headers=lent.headers)
    because = [Reason(f"--torch-from: {lent.python} is {lent.version}", "asked by running it")]
    allowed = release.python.value
    if allowed is not None:
        said = Reason(
            f"vLLM {release.version.value} allows Python {allowed}", release.python.source
        )
        because.append(said)
        if not fits(lent.version, allowed):
            return Refused("python", tuple(because), (WITHOUT,))
    if not wished(python, wishes.python):
        because.append(Reason(f"--python {wishes.python}", "the command line"))
        return Refused("python", tuple(because), (f"--python {lent.version}", WITHOUT))
    return Chosen("python", python, tuple(because))


def choose_lent_torch(
    wishes: Wishes, device: Device, target: Target, release: Release, lent: Lent
) -> Decision[str]:
    """That torch or none: a CPU's torch cannot serve a GPU, and another version is no wish."""
    version = lent.public_torch
    there = Reason(f"{lent.python} has torch {lent.torch}", "its torch/version.py")
    if wishes.torch is not None and Version(wishes.torch.split("+")[0]) != Version(version):
        asked = Reason(f"--torch {wishes.torch}", "the command line")
        return Refused("torch", (there, asked), (f"--torch {version}", WITHOUT))
    if device is Device.CUDA and lent.cuda is None:
        why = Reason("that torch is built without CUDA", "its torch/version.py")
        return Refused("torch", (there, why), ("--device cpu", WITHOUT))
    pins = [pin for pin in pins_for(release, device, target) if exact_version(pin)]
    differing = [pin for pin in pins if version not in SpecifierSet(pin.specifier.split("+")[0])]
    return Chosen(
        "torch",
        version,
        (there, *(Reason(f"the tree pins torch{pin.specifier}", pin.source) for pin in pins)),
        warnings=tuple(
            f"vLLM {release.version.value} is tested with torch{pin.specifier}, not {version}"
            for pin in differing
        ),
    )


def lent_cuda(lent: Lent) -> Sourced[str]:
    """The CUDA that torch carries, as it says itself."""
    return Sourced(lent.cuda, f"torch/version.py of {lent.python}")
