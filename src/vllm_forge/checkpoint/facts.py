"""A checkpoint summed up: `facts` of `inspect`."""

from collections import Counter
from math import prod

from vllm_forge.checkpoint.modules import SCALES, modules_of, observed_algorithm
from vllm_forge.records.checkpoint import Checkpoint, CheckpointFacts

PACKED = {"NVFP4", "W4A16_NVFP4", "MXFP4", "W4A16_AWQ", "W4A8_AWQ"}
"""Algorithms that put two weights into one byte."""


def facts_of(checkpoint: Checkpoint) -> CheckpointFacts:
    document = checkpoint.document
    weights = checkpoint.weights
    dtypes: Counter[str] = Counter()
    for tensor in weights.tensors:
        dtypes[tensor.dtype] += tensor.stop - tensor.start
    other = checkpoint.hf_quant_config
    return CheckpointFacts(
        path=checkpoint.path,
        format=checkpoint.format,
        shape=checkpoint.shape,
        algorithm=document.algorithm if document else None,
        producer=document.producer_name if document else None,
        producer_version=document.producer_version if document else None,
        quant_method=checkpoint.config.method if checkpoint.config else None,
        group_size=(document.group_size if document else None)
        or (other.group_size if other else None),
        kv_cache=document.kv_cache if document else None,
        excluded=(document.excluded or ()) if document else (),
        layers=dict(Counter(layer.algorithm for layer in checkpoint.layers)),
        architectures=checkpoint.model.architectures,
        model_type=checkpoint.model.model_type,
        dtype=checkpoint.model.dtype,
        parameters=count_parameters(checkpoint) if weights.shards else None,
        weight_bytes=sum(shard.size for shard in weights.shards),
        dtypes=dict(dtypes),
        shards=len(weights.shards),
        tokenizer=checkpoint.tokenizer,
        generation_config=checkpoint.generation_config,
        remote_code=checkpoint.model.remote_code,
    )


def count_parameters(checkpoint: Checkpoint) -> int:
    """Weights as the model sees them; scales are not parameters."""
    count = 0
    for module in modules_of(checkpoint.weights.tensors).values():
        packed = observed_algorithm(module) in PACKED
        for part, tensor in module.parts.items():
            if part not in SCALES:
                count += prod(tensor.shape) * (2 if packed and part == "weight" else 1)
    return count
