"""How a checkpoint is run: which weights, which arguments, and why."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from vllm_forge.records.checkpoint import Verdict
from vllm_forge.records.decision import Chosen, Refused


class RunKind(StrEnum):
    """What the engine is given; the first that this machine can run is taken."""

    NATIVE = "native"
    """The checkpoint itself."""
    FALLBACK = "fallback"
    """The checkpoint itself; this GPU runs it weight-only, through Marlin."""
    REPAIRED = "repaired"
    """A view of it with corrected metadata."""
    DEQUANTIZED = "dequantized"
    """An equivalent BF16 checkpoint."""


class Mode(StrEnum):
    GENERATE = "generate"
    """One process that answers and ends."""
    SERVE = "serve"
    """The OpenAI-compatible server."""


@dataclass(frozen=True, slots=True)
class RunWishes:
    """What the user asked for. None means: choose, and say why.

    `trust_remote_code` False means: do without, even if the model brings code. `text` says
    whether text, and not token ids, goes in. `prefer` names the metadata file that is right.
    """

    mode: Mode = Mode.GENERATE
    text: bool = True
    tokenizer: str | None = None
    trust_remote_code: bool | None = None
    tensor_parallel_size: int | None = None
    max_model_len: int | None = None
    prefer: str | None = None


@dataclass(frozen=True, slots=True)
class RunPath:
    """`verdict` is the release's on this checkpoint and GPU; `weight_bytes` what is loaded."""

    kind: RunKind
    verdict: Verdict
    weight_bytes: int


@dataclass(frozen=True, slots=True)
class RunDecision:
    """`arguments` are vLLM's engine arguments by their Python names, without the model.

    `environment` are variables for the engine's processes; what the user has set goes first.
    Nothing is run while anything is in `refused`.
    """

    path: Chosen[RunPath] | None
    arguments: tuple[Chosen[Any], ...] = ()
    environment: tuple[Chosen[str], ...] = ()
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """One continuation; `text` is empty where there is no tokenizer."""

    prompt: str | tuple[int, ...]
    text: str
    tokens: int
    token_ids: tuple[int, ...]
    finish_reason: str | None


@dataclass(frozen=True, slots=True)
class Generated:
    """`seconds`: import, load, generate."""

    vllm: str
    outputs: tuple[Output, ...]
    seconds: dict[str, float]
