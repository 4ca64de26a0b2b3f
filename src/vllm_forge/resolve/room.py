"""Whether the disk holds what is going to be made."""

from vllm_forge.records.decision import Reason, Refused
from vllm_forge.records.machine import Machine
from vllm_forge.records.wishes import Device

GIB = 1 << 30

NEEDED_BYTES = {Device.CPU: 9 * GIB, Device.CUDA: 20 * GIB, Device.AUTO: 9 * GIB}
"""An environment with torch 2.6 to 2.14 and vLLM's requirements takes 5.2 to 8 GB, the tree and
its build folder under 1 GB for the CPU target, up to 10 GB with debug information for CUDA
(docs/measurements.md)."""


PRECOMPILED_BYTES = 10 * GIB
"""Without a build folder: the environment, the tree, and the wheel's extensions (1.3 GB all)."""


def refuse_without_room(
    machine: Machine, device: Device, needed: int | None = None
) -> Refused | None:
    """None when there is room, or when the room is unknown; `needed` bytes where not the usual."""
    free = machine.disk.free_bytes
    needed = NEEDED_BYTES[device] if needed is None else needed
    if free is None or free >= needed:
        return None
    return Refused(
        "disk",
        (
            Reason(f"{free / GIB:.1f} GiB are free", "statvfs of the home's file system"),
            Reason(f"a {device} build takes up to {needed / GIB:.0f} GiB", "docs/measurements.md"),
        ),
        ("choose another file system: --home DIR", "uv cache prune"),
    )
