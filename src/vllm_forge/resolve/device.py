"""What the build is for."""

from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.machine import Machine
from vllm_forge.records.wishes import Device, Wishes


def choose_device(wishes: Wishes, machine: Machine) -> Decision[Device]:
    """CUDA where there is an NVIDIA GPU or where CUDA was wished for, else the CPU target.

    A machine without a GPU can compile for CUDA (it needs an architecture to be named); it cannot
    run what it compiled.
    """
    if wishes.device is not Device.AUTO:
        reason = Reason(f"--device {wishes.device}", "the command line")
        return Chosen("device", wishes.device, (reason,))
    for option, value in (("--cuda", wishes.cuda), ("--gpu-arch", wishes.gpu_arch)):
        if value not in {None, "auto"}:
            reason = Reason(f"{option} {value} asks for a CUDA build", "the command line")
            return Chosen("device", Device.CUDA, (reason,))
    if machine.gpus is None:
        return Refused(
            "device",
            (Reason("whether this machine has an NVIDIA GPU is unknown", "machine.gpus"),),
            ("name it: --device cpu or --device cuda",),
        )
    if machine.gpus and machine.driver is None:
        return Chosen(
            "device",
            Device.CPU,
            (
                Reason(f"GPU here: {machine.gpus[0].name}", "the PCI bus"),
                Reason("no NVIDIA driver is loaded", "/proc/driver/nvidia"),
            ),
            ("the GPU has no driver loaded: built for the CPU; --device cuda builds for it",),
        )
    if machine.gpus:
        names = ", ".join(gpu.name for gpu in machine.gpus)
        return Chosen("device", Device.CUDA, (Reason(f"GPUs: {names}", "nvidia-smi"),))
    return Chosen(
        "device", Device.CPU, (Reason("no NVIDIA GPU here", "nvidia-smi and /proc/driver/nvidia"),)
    )
