"""What the metadata promises of each module."""

from dataclasses import dataclass

from vllm_forge.checkpoint.excludes import Excludes
from vllm_forge.checkpoint.modules import PLAIN_DTYPES, SCALES, Module
from vllm_forge.records.checkpoint import Checkpoint
from vllm_forge.resolve.match_algorithms import MIXED, canonical

LINEAR_NAMES = frozenset(
    {
        *("q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj", "out_proj", "in_proj"),
        *("q_a_proj", "q_b_proj", "kv_b_proj", "kv_a_proj_with_mqa"),
        *("gate_proj", "up_proj", "down_proj", "gate_up_proj", "fc1", "fc2"),
        *("w1", "w2", "w3"),
    }
)
"""Modules that vLLM builds as quantizable linear layers in every model that has them. Embeddings,
norms, convolutions and routers have weights too, and are quantized only when a config says so."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """`algorithm(module)` is None where the metadata leaves the module unquantized."""

    uniform: str | None
    layers: dict[str, str]
    excludes: Excludes
    modelopt_reads_it: bool
    """False when another reader (quant_method `fp8`) decides about what the layers leave out."""

    def algorithm(self, module: str) -> str | None:
        if module in self.excludes:
            return None
        if self.uniform is not None:
            return self.uniform
        name = module
        while name:
            if name in self.layers:
                return self.layers[name]
            name = name.rpartition(".")[0]
        return None


def expectation_of(checkpoint: Checkpoint) -> Expectation | None:
    """None where nothing is promised: not quantized, not ModelOpt's, or a map that is missing."""
    document = checkpoint.document
    if document is None or document.algorithm is None or not document.is_modelopt:
        return None
    algorithm: str | None = canonical(document.algorithm)
    layers: dict[str, str] = {}
    if algorithm == MIXED:
        layers = {layer.name: canonical(layer.algorithm) for layer in checkpoint.layers}
        if not layers:
            return None
        algorithm = None
    elif algorithm == "NVFP4" and document.weights_only:
        algorithm = "W4A16_NVFP4"
    method = (document.method or "modelopt").lower()
    return Expectation(
        uniform=algorithm,
        layers=layers,
        excludes=Excludes(document.excluded or ()),
        modelopt_reads_it=method.startswith("modelopt"),
    )


def is_linear(module: Module) -> bool:
    """A matrix that the metadata can speak of: a known linear layer, or anything with scales."""
    weight = module.weight
    if weight is None or len(weight.shape) < 2:  # noqa: PLR2004 -- norms and biases are 1-D
        return False
    if weight.dtype not in PLAIN_DTYPES:
        return True
    return module.last_name in LINEAR_NAMES or any(part in SCALES for part in module.parts)
