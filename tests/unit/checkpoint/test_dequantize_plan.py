"""Where every byte of a BF16 checkpoint goes, before one is made."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vllm_forge.checkpoint.read import read_checkpoint
from vllm_forge.checkpoint.safetensors_header import parse_header
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.dequantize import plain_config
from vllm_forge.run.dequantize_plan import OutputShard, dequantized_of, plan_output

if TYPE_CHECKING:
    from tests.unit.checkpoint.conftest import CheckpointFolder

DATA = Path(__file__).parents[2] / "data" / "checkpoints" / "exports-0.46"


def plan(name: str, shard_bytes: int = 10**9) -> tuple[OutputShard, ...]:
    return plan_output(read_checkpoint(DATA / name), shard_bytes)


@pytest.mark.parametrize(
    ("name", "kind", "algorithm"),
    [
        ("fp8", "fp8", "FP8"),
        ("fp8_pb_wo", "fp8-blocks", "FP8_PB_WO"),
        ("mxfp8", "mxfp8", "MXFP8"),
        ("nvfp4_kvfp8", "nvfp4", "NVFP4"),
    ],
)
def test_a_plan_unpacks_seven_weights_and_keeps_five(name: str, kind: str, algorithm: str) -> None:
    (shard,) = plan(name)
    kinds = [tensor.job["kind"] for tensor in shard.tensors]
    assert (kinds.count(kind), kinds.count("copy")) == (7, 5)
    assert {tensor.algorithm for tensor in dequantized_of((shard,))} == {algorithm}
    assert all(tensor.dtype == "BF16" for tensor in shard.tensors)
    assert sum(tensor.size for tensor in shard.tensors) == 2 * 852_736


@pytest.mark.parametrize("shard_bytes", [1, 100_000, 300_000, 10**9])
def test_headers_are_sound_and_lose_nothing(shard_bytes: int) -> None:
    shards = plan("nvfp4", shard_bytes)
    names: list[str] = []
    for shard in shards:
        header = parse_header(shard.header.encode(), file=shard.file, origin=shard.file)
        assert header.promised_size == shard.size
        assert len(shard.header.encode()) % 8 == 0
        names += [tensor.name for tensor in header.tensors]
        assert len(shard.tensors) == 1 or sum(t.size for t in shard.tensors) <= shard_bytes
    assert len(names) == len(set(names)) == 12
    assert [shard.file for shard in shards] == sorted(shard.file for shard in shards)


def test_packed_shapes_are_doubled() -> None:
    (shard,) = plan("nvfp4")
    shapes = {tensor.name: tensor.shape for tensor in shard.tensors}
    assert shapes["model.layers.0.mlp.down_proj.weight"] == (256, 512)


def refusal(folder: "CheckpointFolder") -> Problem:
    with pytest.raises(Problem) as caught:
        plan_output(read_checkpoint(folder.path))
    return caught.value


@pytest.mark.parametrize(
    ("tensors", "strange"),
    [
        ({"a.weight": ("F8_E4M3", (4, 4))}, "a: ?"),
        ({"a.weight": ("I8", (4, 4)), "a.weight_scale": ("F32", (4,))}, "a: W8A16"),
        (
            {
                "a.weight": ("F8_E4M3", (4, 4)),
                "a.weight_scale": ("F32", ()),
                "a.pre_quant_scale": ("BF16", (4,)),
            },
            "a: FP8",
        ),
        ({"a.weight": ("F8_E4M3", (4, 4)), "a.weight_scale": ("F32", (3, 3))}, "a: FP8_PB_WO"),
        ({"a.weight": ("U8", (4, 8)), "a.weight_scale": ("F8_E4M3", (4, 1))}, "a: W4A16_NVFP4"),
    ],
)
def test_what_is_packed_otherwise(
    tensors: dict[str, tuple[str, tuple[int, ...]]], strange: str, folder: "CheckpointFolder"
) -> None:
    folder.write_tensors(tensors)
    problem = refusal(folder)
    assert problem.exit_code is ExitCode.REFUSED
    assert problem.causes == (strange,)


def test_nothing_to_unpack(folder: "CheckpointFolder") -> None:
    folder.write_tensors({"a.weight": ("BF16", (4, 4))})
    assert refusal(folder).message.endswith("nothing is quantized here")


def test_no_weights(folder: "CheckpointFolder") -> None:
    assert refusal(folder).causes == ("no *.safetensors",)


def test_a_plain_config_names_bf16_and_no_quantization() -> None:
    config = {
        "torch_dtype": "float16",
        "quantization_config": {"quant_method": "modelopt"},
        "text_config": {"dtype": "float16", "quantization_config": {}, "hidden_size": 4},
        "vision_config": {"torch_dtype": "float32"},
    }
    before = json.dumps(config)
    assert plain_config(config) == {
        "torch_dtype": "bfloat16",
        "text_config": {"dtype": "bfloat16", "hidden_size": 4},
        "vision_config": {"torch_dtype": "float32"},
    }
    assert json.dumps(config) == before
