"""Tensors of a checkpoint and parameters of the model that do not match."""

import re

from vllm_forge.diagnose.blocks import Kind
from vllm_forge.diagnose.signature import Names, Scene, Signature, acts, kinds, pattern

WEIGHT_NAME = (
    r"(?:[\w-]+\.)*(?:layers|blocks|h|experts|visual|vision_\w+|model|language_model|mtp|lm_head"
    r"|embed_tokens)\.[\w.-]*?"
    r"(?:weight|bias|scale|scales|scale_inv|scale_2|qweight|qzeros|g_idx|zero_point|packed|shape"
    r"|proj|[kqv]_norm|lm_head|amax)\b[\w.]*"
)


LOADING = re.compile(
    r"load_weights|weight_loader|load_model|weight_utils|default_loader|_load_module"
)


def tensor_cause(names: Names) -> str:
    if missing := names.get("missing"):
        return f"The model wants {missing}, and the checkpoint has no such tensor."
    tensor = names["tensor"]
    scale = re.search(r"(?:[kqv]_|kv_|weight_|input_)?scale\w*$", tensor)
    why = (
        "; it is a scale of a quantized layer: this vLLM built that layer unquantized, or under"
        " another name"
        if scale
        else ""
    )
    return (
        f"The checkpoint has {tensor}, and the model this vLLM built has no parameter of that"
        f" name{why}."
    )


def tensor_fix(names: Names) -> tuple[str, ...]:
    tensor = names.get("tensor") or ""
    lines = [
        (
            "vllm-forge inspect CHECKPOINT   # layout, quantization config, and which vLLM versions"
            " load it"
        )
    ]
    if re.search(r"\.[kv]_scale$|kv_scale", tensor):
        lines.append(
            "Use a vLLM whose loader of this model maps the KV-cache scales (a newer release)."
        )
    elif "scale" in tensor:
        lines.append(
            "vllm-forge repair CHECKPOINT --output FIXED   # where quant_method or the excluded"
            " modules are"
            " what this vLLM does not read"
        )
    return tuple(lines)


def shapes(names: Names) -> str:
    pairs = (("found", "wanted"), ("size", "length"), ("b", "a"))
    for found, wanted in pairs:
        if names.get(found) and names.get(wanted):
            return f" ({names[found]} instead of {names[wanted]})"
    return ""


def shape_cause(names: Names, scene: Scene) -> str:
    del scene
    return (
        "A tensor of the checkpoint has another shape than the model that its config describes"
        f"{shapes(names)}: config.json and weights do not belong together, or packed weights are"
        " taken for plain ones."
    )


SIGNATURES = (
    Signature(
        "checkpoint-tensor-mismatch",
        kinds(Kind.EXCEPTION),
        pattern(rf"KeyError: ['\"](?P<tensor>{WEIGHT_NAME})['\"]"),
        lambda names, _: tensor_cause(names),
        lambda names, _: tensor_fix(names),
    ),
    Signature(
        "checkpoint-tensor-mismatch",
        kinds(Kind.EXCEPTION),
        pattern(
            r"There is no module or parameter named '(?P<tensor>[^']+)' in (?P<model>\w+)"
            r"|Following weights were not initialized from checkpoint: \{'(?P<missing>[^']+)'"
        ),
        lambda names, _: tensor_cause(names),
        lambda names, _: tensor_fix(names),
    ),
    Signature(
        "checkpoint-tensor-mismatch",
        kinds(Kind.EXCEPTION),
        pattern(
            r"Attempted to load weight \(torch\.Size\((?P<found>\[[^\]]*\])\)\) into parameter"
            r" \(torch\.Size\((?P<wanted>\[[^\]]*\])\)\)"
        ),
        shape_cause,
        lambda *_: tensor_fix({"tensor": ""}),
    ),
    Signature(
        "checkpoint-tensor-mismatch",
        kinds(Kind.EXCEPTION),
        pattern(
            r"shape '\[[-\d, ]+\]' is invalid for input of size \d+|IndexError: (?:Dimension"
            r"|tuple index) out of range|start \(\d+\) \+ length \("
            r"(?P<length>\d+)\) exceeds dimension size \((?P<size>\d+)\)"
            r"|The size of tensor a \((?P<a>\d+)\) must match the size of tensor b \((?P<b>\d+)\)"
            r"|assert (?:param(?:_data)?|self)\.(?:shape|size\(\)|data\.shape) == loaded_weight"
            r"|AssertionError: (?:param_data|Tried to load weights)|size mismatch for "
            r"(?P<tensor>[\w.]+)"
        ),
        shape_cause,
        lambda names, _: tensor_fix({"tensor": names["tensor"]}),
        also=LOADING,
    ),
    Signature(
        "checkpoint-tensor-mismatch",
        kinds(Kind.EXCEPTION),
        pattern(
            r"SafetensorError: Error while deserializing header: (?P<reason>[^\n]*)"
            r"|MetadataIncompleteBuffer"
        ),
        "A safetensors file is cut short or is no safetensors file ({reason}): often a git-lfs"
        " pointer or a"
        " broken download.",
        acts(
            "ls -l CHECKPOINT/*.safetensors   # a few hundred bytes: a pointer; download the file"
            " again"
        ),
    ),
)
