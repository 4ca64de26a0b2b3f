"""Quantize and export a tiny Llama with ModelOpt. Runs in an environment of its own, not in ours.

`modelopt_tiny.py RECIPE FOLDER` writes a checkpoint. `modelopt_tiny.py RECIPE FOLDER reference`
writes besides it FOLDER.reference.safetensors, every quantized weight as ModelOpt's own fake
quantization sees it before anything is packed, and FOLDER.logits.json, the logits of that model;
ModelOpt fake-quantizes FP8 without a GPU from 0.46 on, FP4 and MX formats never.
`modelopt_tiny.py unpack FOLDER` writes FOLDER.unpacked.safetensors: what ModelOpt's own tensor
classes (0.46) make of an exported checkpoint. `modelopt_tiny.py logits FOLDER` prints the logits of
a plain checkpoint.
"""

import copy
import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file  # type: ignore[import-not-found]
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

TOKENS = [[7, 99, 3, 250, 41, 8, 500, 1]]
RECIPES = {
    "fp8": "FP8_DEFAULT_CFG",
    "fp8_pb_wo": "FP8_2D_BLOCKWISE_WEIGHT_ONLY_CFG",
    "nvfp4": "NVFP4_DEFAULT_CFG",
    "mxfp8": "MXFP8_DEFAULT_CFG",
    "mixed": "NVFP4_DEFAULT_CFG",
}


def tiny_model() -> Any:  # noqa: ANN401 -- a transformers model
    """Two layers of the sizes that every format divides."""
    torch.manual_seed(11)
    config = LlamaConfig(
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=512,
        max_position_embeddings=512,
        torch_dtype="bfloat16",
        architectures=["LlamaForCausalLM"],
    )
    return LlamaForCausalLM(config).to(torch.bfloat16).eval()


def recipe_of(name: str) -> Any:  # noqa: ANN401 -- ModelOpt's configuration
    """`mixed` is NVFP4 with FP8 attention."""
    import modelopt.torch.quantization as mtq  # type: ignore[import-not-found]  # noqa: PLC0415 -- not for `logits`

    recipe = copy.deepcopy(getattr(mtq, RECIPES[name]))
    if name == "mixed":
        fp8 = {"num_bits": (4, 3), "axis": None, "enable": True}
        rules = recipe["quant_cfg"]
        if isinstance(rules, dict):
            rules |= {"*self_attn*weight_quantizer": fp8, "*self_attn*input_quantizer": fp8}
        else:
            for part in ("weight", "input"):
                rules.append({"quantizer_name": f"*self_attn*{part}_quantizer", "cfg": fp8})
    return recipe


def export(name: str, folder: Path, *, with_reference: bool) -> None:
    import modelopt.torch.quantization as mtq  # noqa: PLC0415 -- not for `logits`
    from modelopt.torch.export import export_hf_checkpoint  # type: ignore[import-not-found]  # noqa: PLC0415

    model = tiny_model()

    def calibrate(module: Any) -> None:  # noqa: ANN401 -- a transformers model
        for seed in range(4):
            torch.manual_seed(seed)
            module(torch.randint(0, 512, (2, 64)))

    with torch.no_grad():
        model = mtq.quantize(model, recipe_of(name), calibrate)
        if with_reference:
            write_reference(model, folder)
    with torch.inference_mode():
        export_hf_checkpoint(model, export_dir=folder)


def write_reference(model: Any, folder: Path) -> None:  # noqa: ANN401 -- a transformers model
    weights = {
        f"{path}.weight": module.weight_quantizer(module.weight).float().contiguous()
        for path, module in model.named_modules()
        if getattr(getattr(module, "weight_quantizer", None), "is_enabled", False)
    }
    save_file(weights, f"{folder}.reference.safetensors")
    logits = model(torch.tensor(TOKENS)).logits.float()
    Path(f"{folder}.logits.json").write_text(json.dumps(logits.flatten().tolist()))


def unpack(folder: Path) -> None:
    """F32 by ModelOpt's dequantization, rounded to BF16 once."""
    from modelopt.torch.quantization.qtensor import (  # type: ignore[import-not-found]  # noqa: PLC0415 -- not for `logits`
        FP8QTensor,
        MXFP8QTensor,
        NVFP4QTensor,
    )

    tensors = load_file(folder / "model.safetensors")
    weights = {}
    for name in [name for name in tensors if name.endswith(".weight_scale")]:
        weight, scale = tensors[name.removesuffix("_scale")], tensors[name]
        second = tensors.get(f"{name}_2")
        if second is not None:
            shape = torch.Size((*weight.shape[:-1], 2 * weight.shape[-1]))
            packed = NVFP4QTensor(shape, torch.float32, weight)
            plain = packed.dequantize(scale=scale, double_scale=second, block_sizes={-1: 16})
        elif scale.dtype == torch.uint8:
            plain = MXFP8QTensor(weight.shape, torch.float32, weight).dequantize(scale=scale)
        elif scale.ndim == 0:
            plain = FP8QTensor(weight.shape, torch.float32, weight).dequantize(scale=scale)
        else:
            blocks = scale.reshape(scale.shape[0], scale.shape[2])
            packed = FP8QTensor(weight.shape, torch.float32, weight)
            plain = packed.dequantize(scale=blocks, block_sizes={-1: 128, -2: 128})
        weights[name.removesuffix("_scale")] = plain.to(torch.bfloat16).contiguous()
    save_file(weights, f"{folder}.unpacked.safetensors")


def print_logits(folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.bfloat16).eval()
    with torch.no_grad():
        logits = model(torch.tensor(TOKENS)).logits.float()
    sys.stdout.write(json.dumps(logits.flatten().tolist()))


if __name__ == "__main__":
    if sys.argv[1] == "logits":
        print_logits(Path(sys.argv[2]))
    elif sys.argv[1] == "unpack":
        unpack(Path(sys.argv[2]))
    else:
        export(sys.argv[1], Path(sys.argv[2]), with_reference="reference" in sys.argv[3:])
