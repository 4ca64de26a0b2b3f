"""A build for one checkpoint on one GPU: what it was made for, and what it does without."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MadeFor:
    """Everything about a checkpoint and its GPU that decides which kernels are reached.

    Two checkpoints for which all of it is equal reach the same ones. `method` is vLLM's
    quantization method, None for plain weights; `algorithms` are ModelOpt's. `capabilities` as
    `9.0`.
    """

    architectures: tuple[str, ...]
    method: str | None
    algorithms: tuple[str, ...]
    capabilities: tuple[str, ...]

    def __str__(self) -> str:
        quantized = ", ".join(self.algorithms) or "plain weights"
        reader = f" read by {self.method}" if self.method else ""
        return (
            f"{', '.join(self.architectures)} with {quantized}{reader} on compute capability "
            f"{', '.join(self.capabilities)}"
        )


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Files of one target that nothing reached leads to, for one reason; `source` is FILE:LINE."""

    target: str
    files: tuple[str, ...]
    because: str
    source: str


@dataclass(frozen=True, slots=True)
class RefusedOperator:
    """An operator whose only implementation was left out.

    `library` is the registration macro's call in `file` (`TORCH_LIBRARY_IMPL(_C, CUDA, m)`).
    """

    target: str
    library: str
    name: str
    file: str


@dataclass(frozen=True, slots=True)
class Reach:
    """What one checkpoint cannot reach in one tree, or (`unknown`) why that cannot be told."""

    left_out: tuple[LeftOut, ...] = ()
    operators: tuple[RefusedOperator, ...] = ()
    unknown: str | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Specialization:
    made_for: MadeFor
    left_out: tuple[LeftOut, ...]
    operators: tuple[RefusedOperator, ...]

    def files_of(self, target: str) -> tuple[str, ...]:
        """What is left out of one target."""
        return tuple(file for one in self.left_out if one.target == target for file in one.files)
