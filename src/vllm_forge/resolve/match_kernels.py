"""One GPU: native kernels, the weight-only fallback, or refused; and the rule that decides."""

from dataclasses import dataclass

from vllm_forge.records.decision import Reason
from vllm_forge.records.release import QuantizationMethod
from vllm_forge.resolve.match_algorithms import NATIVE_CAPABILITY

NATIVE = "native"
FALLBACK = "fallback"
REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Kernels:
    kind: str
    because: tuple[Reason, ...]


def choose_kernels(
    entry: QuantizationMethod, algorithms: tuple[str, ...], capability: str
) -> Kernels:
    """`capability` is `8.9`. vLLM compares major * 10 + minor with `get_min_capability()`."""
    here = as_number(capability)
    least = entry.min_capability
    reasons = [
        Reason(f"{entry.name} asks for compute capability {as_words(least.value)}", least.source)
        if least.value is not None
        else Reason(f"the least compute capability of {entry.name} is unknown", least.source)
    ]
    gpu = Reason(f"the GPU has {capability}", "machine: gpus")
    if least.value is not None and here < least.value:
        return Kernels(REFUSED, (*reasons, gpu))
    behind = [name for name in algorithms if here < NATIVE_CAPABILITY.get(name, 0)]
    if behind:
        reasons += [
            Reason(
                f"tensor cores compute {name} from {as_words(NATIVE_CAPABILITY[name])} on: Marlin "
                "unpacks the weights, activations stay 16-bit",
                "PTX ISA, mma",
            )
            for name in behind
        ]
        return Kernels(FALLBACK, (*reasons, gpu))
    return Kernels(NATIVE, (*reasons, gpu))


def as_number(capability: str) -> int:
    """`8.9` → 89, `12.0` → 120."""
    major, _, minor = capability.partition(".")
    return int(major) * 10 + int(minor or 0)


def as_words(number: int) -> str:
    return f"{number // 10}.{number % 10}"
