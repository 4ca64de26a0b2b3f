"""Whether the weights fit, and over how many GPUs they have to be spread."""

from typing import Final

from vllm_forge.records.checkpoint import Dimensions
from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.machine import Gpu, Machine

GIB: Final = 1 << 30
WEIGHTS_SHARE: Final = 0.85
"""Of a GPU's memory: vLLM takes 0.9 (`gpu_memory_utilization`), and the cache needs some of it."""


def refuse_without_memory(machine: Machine, weight_bytes: int) -> Refused | None:
    """None when they fit, or when the memory is not known."""
    total = smallest(machine.memory.total_bytes, machine.memory.limit_bytes)
    if total is None or weight_bytes <= total:
        return None
    why = Reason(
        f"the weights take {in_gib(weight_bytes)} and this machine has {in_gib(total)}",
        "machine.memory",
    )
    return Refused("memory", (why,), ("a machine with more memory, or with a GPU",))


def smallest(*sizes: int | None) -> int | None:
    return min((size for size in sizes if size is not None), default=None)


def choose_tensor_parallel(
    dimensions: Dimensions, weight_bytes: int, gpus: tuple[Gpu, ...], wish: int | None
) -> Decision[int]:
    """The wish where it can be, else the fewest GPUs that hold the weights."""
    if wish is not None:
        return _as_wished(dimensions, len(gpus), wish)
    memory = smallest(*(gpu.memory_bytes for gpu in gpus))
    if memory is None:
        why = Reason("the GPUs' memory is unknown: one GPU is tried", "machine.gpus")
        return Chosen("tensor_parallel_size", 1, (why,))
    room = int(memory * WEIGHTS_SHARE)
    for number in range(1, len(gpus) + 1):
        if divides(dimensions, number) and weight_bytes <= room * number:
            why = Reason(
                f"the weights take {in_gib(weight_bytes)}, and a GPU of {in_gib(memory)} has room "
                f"for {in_gib(room)} of them",
                "machine.gpus",
            )
            return Chosen("tensor_parallel_size", number, (why,))
    why = Reason(
        f"the weights take {in_gib(weight_bytes)}, and {len(gpus)} GPU"
        f"{'s' if len(gpus) > 1 else ''} of {in_gib(memory)} hold at most "
        f"{in_gib(room * len(gpus))} of them",
        "machine.gpus",
    )
    return Refused("tensor_parallel_size", (why,), ("more GPUs, or GPUs with more memory",))


def _as_wished(dimensions: Dimensions, gpus: int, wish: int) -> Decision[int]:
    asked = Reason(f"--tensor-parallel-size {wish}", "the command line")
    if wish > max(gpus, 1):
        why = Reason(f"there are {gpus} GPUs", "machine.gpus")
        return Refused("tensor_parallel_size", (asked, why), (f"at most {max(gpus, 1)}",))
    if not divides(dimensions, wish):
        heads = dimensions.attention_heads
        why = Reason(f"{heads} attention heads do not divide by {wish}", "config.json")
        ways = tuple(
            f"--tensor-parallel-size {number}"
            for number in range(1, gpus + 1)
            if divides(dimensions, number)
        )
        return Refused("tensor_parallel_size", (asked, why), ways[-1:])
    return Chosen("tensor_parallel_size", wish, (asked,))


def divides(dimensions: Dimensions, number: int) -> bool:
    """Each GPU gets the same number of attention heads."""
    return dimensions.attention_heads is None or dimensions.attention_heads % number == 0


def in_gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
