"""Checkpoints that ModelOpt 0.29, 0.33.1 and 0.46 export here and now: inspected and unpacked."""

import importlib.util
import json
import shutil
import struct
import sys
from math import sqrt
from pathlib import Path
from types import ModuleType

import pytest

from vllm_forge.checkpoint.facts import facts_of
from vllm_forge.checkpoint.lint import lint
from vllm_forge.checkpoint.read import read_checkpoint
from vllm_forge.checkpoint.safetensors_header import read_header
from vllm_forge.checkpoint.scalars import read_scalars
from vllm_forge.records.checkpoint import Format, Shape
from vllm_forge.run.dequantize import dequantize

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.acceptance]

NEWEST = "0.46.0"


def load_helper() -> ModuleType:
    """tests/modelopt_export.py, which stands above this folder."""
    path = Path(__file__).parents[1] / "modelopt_export.py"
    spec = importlib.util.spec_from_file_location("modelopt_export", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


helper = load_helper()
EXPORTS = [(version, recipe) for version, recipes in helper.RECIPES.items() for recipe in recipes]
SHAPES = {
    "0.29.0": Shape.HF_QUANT_CONFIG_ONLY,
    "0.33.1": Shape.FLAT_WITHOUT_METHOD,
    "0.46.0": Shape.FLAT,
}


@pytest.mark.parametrize(("version", "recipe"), EXPORTS)
def test_an_export_is_named_and_healthy(version: str, recipe: str) -> None:
    checkpoint = read_checkpoint(helper.export_checkpoint(version, recipe).folder)
    facts = facts_of(checkpoint)
    assert facts.format == Format(recipe.replace("_", "-"))
    assert facts.shape is SHAPES[version]
    assert facts.producer_version == version
    assert facts.parameters == 1_443_072
    assert facts.layers == ({"FP8": 8, "NVFP4": 6} if recipe == "mixed" else {})
    found = {finding.code for finding in lint(checkpoint, read_scalars(checkpoint))}
    expected = {"quant-method-missing"} if version == "0.33.1" else set()
    assert found == {"tokenizer-missing"} | expected


def bf16_of(path: Path) -> dict[str, bytes]:
    """Every BF16 tensor of a file, as bytes; negative zero, a code of FP4, as zero."""
    data = path.read_bytes()
    return {
        tensor.name: without_negative_zero(data[tensor.start : tensor.stop])
        for tensor in read_header(path).tensors
        if tensor.dtype == "BF16"
    }


def without_negative_zero(data: bytes) -> bytes:
    """ModelOpt's table has a plain zero at FP4's code 8; ours keeps the sign, as vLLM does."""
    return b"".join(
        b"\0\0" if data[place : place + 2] == b"\0\x80" else data[place : place + 2]
        for place in range(0, len(data), 2)
    )


@pytest.mark.parametrize(("version", "recipe"), EXPORTS)
def test_unpacking_equals_modelopt_s_own(version: str, recipe: str, tmp_path: Path) -> None:
    """Bit for bit, against ModelOpt's own tensor classes."""
    export = helper.export_checkpoint(version, recipe)
    source = Path(shutil.copytree(export.folder, tmp_path / "packed"))
    tensors = dequantize(source, tmp_path / "plain", helper.modelopt_python(NEWEST), print)
    helper.run_modelopt(NEWEST, "unpack", source)
    ours = bf16_of(tmp_path / "plain" / "model.safetensors")
    theirs = bf16_of(Path(f"{source}.unpacked.safetensors"))
    assert len(theirs) == len(tensors) == 14
    assert [name for name, data in theirs.items() if ours[name] != data] == []


@pytest.mark.parametrize(("version", "recipe"), sorted(helper.WITH_REFERENCE))
def test_logits_are_those_of_the_fake_quantized_model(
    version: str, recipe: str, tmp_path: Path
) -> None:
    """The weights are alike; what differs is the rounding of activations, which only FP8 has."""
    export = helper.export_checkpoint(version, recipe)
    dequantize(export.folder, tmp_path / "plain", helper.modelopt_python(NEWEST), print)
    ours = json.loads(helper.run_modelopt(NEWEST, "logits", tmp_path / "plain"))
    theirs = json.loads(export.logits.read_text())
    distance = sqrt(sum((a - b) ** 2 for a, b in zip(ours, theirs, strict=True)))
    relative = distance / sqrt(sum(b * b for b in theirs))
    sys.stdout.write(f"\n{version} {recipe}: logits differ by {relative:.2%} (root mean square)\n")
    assert relative < {"fp8": 0.10, "fp8_pb_wo": 0.01}[recipe]


def test_an_export_is_within_a_step_of_its_fake_quantized_weights() -> None:
    """`o_proj` and `down_proj` are not fused with others, so nothing was rescaled on export."""
    export = helper.export_checkpoint(NEWEST, "fp8")
    reference = {tensor.name: tensor for tensor in read_header(export.reference).tensors}
    exported = {
        tensor.name: tensor for tensor in read_header(export.folder / "model.safetensors").tensors
    }
    scales = read_scalars(read_checkpoint(export.folder))
    name = "model.layers.0.self_attn.o_proj.weight"
    codes = (export.folder / "model.safetensors").read_bytes()
    tensor = exported[name]
    largest = max(code & 0x7F for code in codes[tensor.start : tensor.stop])
    data = export.reference.read_bytes()[reference[name].start : reference[name].stop]
    wanted = max(abs(value) for (value,) in struct.iter_unpack("<f", data))
    assert largest == 0x7E  # 448, the largest FP8 number
    assert abs(448 * scales[f"{name}_scale"] / wanted - 1) < 2.0**-7
