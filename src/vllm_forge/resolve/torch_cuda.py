"""Which CUDA the planned torch carries."""

from collections.abc import Sequence

from vllm_forge.records.decision import Chosen, Reason
from vllm_forge.records.sourced import Sourced
from vllm_forge.records.torch import TorchRelease


def find_torch(version: str, torches: Sequence[TorchRelease]) -> TorchRelease | None:
    return next((torch for torch in torches if torch.version == version), None)


def read_torch_cuda(version: str, torches: Sequence[TorchRelease]) -> Sourced[str]:
    """As the default wheel of the package index says in its metadata."""
    torch = find_torch(version, torches)
    if torch is None:
        return Sourced(None, f"torch {version} is not in the table of known wheels")
    return Sourced(torch.cuda, torch.source)


def choose_torch_cuda(carried: Sourced[str], torch: str) -> Chosen[str | None]:
    """Proven by importing torch once, when the environment is made."""
    if carried.value is None:
        reason = Reason(f"not known before torch {torch} is installed", carried.source)
    else:
        reason = Reason(f"the wheel of torch {torch} carries CUDA {carried.value}", carried.source)
    return Chosen("torch_cuda", carried.value, (reason,))
