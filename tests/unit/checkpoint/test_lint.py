"""Every finding: a folder that has exactly that fault, and real exports that have none."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from vllm_forge.checkpoint.lint import CODES, lint
from vllm_forge.checkpoint.read import read_checkpoint
from vllm_forge.checkpoint.scalars import read_scalars
from vllm_forge.records.finding import Finding, Severity

if TYPE_CHECKING:
    from tests.unit.checkpoint.conftest import CheckpointFolder

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests" / "data" / "checkpoints"
MODELOPT = {"quant_method": "modelopt", "producer": {"name": "modelopt", "version": "0.46.0"}}
NVFP4 = {**MODELOPT, "quant_algo": "NVFP4", "ignore": ["lm_head"]}
FP8 = {**MODELOPT, "quant_algo": "FP8", "ignore": ["lm_head"]}
LAYER = "model.layers.0"

Tensors = dict[str, tuple[str, tuple[int, ...]]]


def findings(path: Path, size: int | None = None) -> dict[str, Finding]:
    checkpoint = read_checkpoint(path)
    found = lint(checkpoint, read_scalars(checkpoint), tensor_parallel_size=size)
    assert len({one.code for one in found}) == len(found)
    assert all(one.code in CODES for one in found)
    return {one.code: one for one in found}


def nvfp4(module: str, rows: int = 32, columns: int = 64) -> Tensors:
    return {
        f"{module}.weight": ("U8", (rows, columns // 2)),
        f"{module}.weight_scale": ("F8_E4M3", (rows, columns // 16)),
        f"{module}.weight_scale_2": ("F32", ()),
        f"{module}.input_scale": ("F32", ()),
    }


def fp8(module: str, rows: int = 32, columns: int = 64) -> Tensors:
    return {
        f"{module}.weight": ("F8_E4M3", (rows, columns)),
        f"{module}.weight_scale": ("F32", ()),
        f"{module}.input_scale": ("F32", ()),
    }


@pytest.mark.parametrize("path", sorted(DATA.glob("exports-0.46/*")), ids=lambda path: path.name)
def test_a_healthy_export_has_only_its_missing_tokenizer(path: Path) -> None:
    assert findings(path, 2).keys() == {"tokenizer-missing"}


def test_the_0_33_1_export_lacks_its_method_and_nothing_else() -> None:
    found = findings(DATA / "export-0.33.1-fp8")
    assert found.keys() == {"quant-method-missing"}
    assert found["quant-method-missing"].severity is Severity.ERROR
    assert "producer.version is 0.33.1" in found["quant-method-missing"].evidence[1]


@pytest.mark.parametrize("path", sorted(DATA.glob("published/*")), ids=lambda path: path.name)
def test_published_metadata_has_true_findings_only(path: Path) -> None:
    true = {
        "Qwen--Qwen3-32B-FP8-Static-PerTensor": {"quant-method-missing"},
        "nvidia--DeepSeek-V4-Flash-NVFP4": {"quant-method-foreign"},
    }
    usual = {"weights-missing", "tokenizer-missing"}
    assert findings(path).keys() - usual == true.get(path.name, set())


def made(folder: "CheckpointFolder", config: object, tensors: Tensors, **values: float) -> Path:
    folder.write_config(config)
    folder.write_json("tokenizer.json", {})
    folder.write_tensors(tensors, values)
    return folder.path


def test_a_sound_folder_has_no_finding(folder: "CheckpointFolder") -> None:
    tensors = nvfp4(f"{LAYER}.mlp.up_proj") | {"lm_head.weight": ("BF16", (8, 8))}
    assert findings(made(folder, NVFP4, tensors)) == {}


@pytest.mark.parametrize(
    ("change", "code", "evidence"),
    [
        ({"up.weight_scale": None}, "scale-missing", "up.weight_scale"),
        ({"up.weight_scale_2": None}, "scale-missing", "up.weight_scale_2"),
        ({"up.input_scale": None}, "scale-missing", "up.input_scale"),
        ({"up.weight": ("F8_E4M3", (32, 32))}, "dtype-wrong", "up.weight: F8_E4M3, not U8"),
        (
            {"up.weight_scale": ("F32", (32, 4))},
            "dtype-wrong",
            "up.weight_scale: F32, not F8_E4M3",
        ),
        (
            {"up.weight_scale": ("F8_E4M3", (32, 2))},
            "shape-wrong",
            "up.weight_scale: [32, 2], not [32, 4]",
        ),
        (
            {"up.weight_scale_2": ("F32", (32,))},
            "shape-wrong",
            "up.weight_scale_2: [32], not [] or [1]",
        ),
        (
            {"up.weight": ("U8", (32, 30)), "up.weight_scale": ("F8_E4M3", (32, 3))},
            "dimension-indivisible",
            "up.weight: 60 inputs, not a multiple of 16",
        ),
        (
            {
                "up.weight": ("BF16", (32, 64)),
                "up.weight_scale": None,
                "up.weight_scale_2": None,
                "up.input_scale": None,
            },
            "quantized-but-plain",
            "up: BF16, NVFP4 by the metadata",
        ),
        (
            {"up.weight": ("U8", (16, 64)), "up.weight_scale": ("F32", (32, 1))},
            "layout-mismatch",
            "up: NVFP4 by the metadata, W4A8_AWQ by the tensors",
        ),
    ],
)
def test_one_tensor_is_wrong(
    change: dict[str, Any], code: str, evidence: str, folder: "CheckpointFolder"
) -> None:
    tensors = nvfp4(f"{LAYER}.mlp.up_proj")
    for name, tensor in change.items():
        full = name.replace("up.", f"{LAYER}.mlp.up_proj.")
        if tensor is None:
            del tensors[full]
        else:
            tensors[full] = tensor
    found = findings(made(folder, NVFP4, tensors))
    assert found.keys() == {code}
    assert found[code].severity is Severity.ERROR
    assert found[code].evidence[0] == evidence.replace("up", f"{LAYER}.mlp.up_proj", 1)


def test_excluded_but_quantized(folder: "CheckpointFolder") -> None:
    config = {**NVFP4, "ignore": [f"{LAYER}.self_attn*"]}
    found = findings(made(folder, config, nvfp4(f"{LAYER}.self_attn.o_proj")))
    assert found["excluded-but-quantized"].evidence[0].startswith(f"{LAYER}.self_attn.o_proj: U8")


def test_unlisted_layers_of_a_mixed_checkpoint_are_not_quantized(
    folder: "CheckpointFolder",
) -> None:
    layers = {f"{LAYER}.mlp.experts": {"quant_algo": "NVFP4"}}
    config = {**MODELOPT, "quant_algo": "MIXED_PRECISION", "quantized_layers": layers}
    tensors = nvfp4(f"{LAYER}.mlp.experts.7.up_proj") | fp8(f"{LAYER}.self_attn.o_proj")
    found = findings(made(folder, config, tensors))
    assert found.keys() == {"excluded-but-quantized"}
    assert found["excluded-but-quantized"].evidence[0].startswith(f"{LAYER}.self_attn.o_proj")


def test_scales_without_a_quantized_weight(folder: "CheckpointFolder") -> None:
    tensors: Tensors = {"lm_head.weight": ("BF16", (8, 8)), "lm_head.input_scale": ("F32", ())}
    assert findings(made(folder, FP8, tensors))["scale-unexpected"].evidence == (
        "lm_head: BF16 with input_scale",
    )


def test_a_quantized_head(folder: "CheckpointFolder") -> None:
    found = findings(made(folder, {**FP8, "ignore": []}, fp8("lm_head")))
    assert found.keys() == {"lm-head-quantized"}


def test_fused_layers_of_two_algorithms(folder: "CheckpointFolder") -> None:
    attention = f"{LAYER}.self_attn"
    layers = {f"{attention}.{name}_proj": {"quant_algo": "FP8"} for name in "qk"}
    layers[f"{attention}.v_proj"] = {"quant_algo": "NVFP4"}
    config = {**MODELOPT, "quant_algo": "MIXED_PRECISION", "quantized_layers": layers}
    tensors = fp8(f"{attention}.q_proj") | fp8(f"{attention}.k_proj") | nvfp4(f"{attention}.v_proj")
    found = findings(made(folder, config, tensors))
    assert found["fused-algorithms-differ"].evidence == (
        f"{attention}: q_proj FP8, k_proj FP8, v_proj NVFP4",
    )


def test_fused_layers_of_two_scales(folder: "CheckpointFolder") -> None:
    mlp = f"{LAYER}.mlp"
    tensors = nvfp4(f"{mlp}.gate_proj") | nvfp4(f"{mlp}.up_proj")
    found = findings(made(folder, NVFP4, tensors, **{f"{mlp}.up_proj.weight_scale_2": 2.0}))
    assert found.keys() == {"fused-scales-differ"}
    assert found["fused-scales-differ"].evidence == (
        f"{mlp}: weight_scale_2 gate_proj 1, up_proj 2",
    )


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_bad_values(value: float, folder: "CheckpointFolder") -> None:
    module = f"{LAYER}.mlp.up_proj"
    path = made(folder, FP8, fp8(module), **{f"{module}.input_scale": value})
    assert findings(path)["scale-value-bad"].evidence == (f"{module}.input_scale is {value}",)


def attention_with(*scales: str) -> Tensors:
    tensors = fp8(f"{LAYER}.self_attn.k_proj") | fp8(f"{LAYER}.self_attn.v_proj")
    return tensors | {f"{LAYER}.self_attn.{scale}": ("F32", ()) for scale in scales}


@pytest.mark.parametrize(
    ("declared", "scales", "code"),
    [
        ("FP8", ("k_proj.k_scale", "v_proj.v_scale"), None),
        ("FP8", (), "kv-scale-missing"),
        ("FP8", ("k_proj.k_scale",), "kv-scale-missing"),
        (None, ("k_proj.k_scale", "v_proj.v_scale"), "kv-scale-unexpected"),
        (None, (), None),
    ],
)
def test_kv_scales(
    declared: str | None, scales: tuple[str, ...], code: str | None, folder: "CheckpointFolder"
) -> None:
    config = {**FP8, "kv_cache_quant_algo": declared}
    found = findings(made(folder, config, attention_with(*scales)))
    assert found.keys() == ({code} if code else set())


@pytest.mark.parametrize(
    ("size", "evidence"),
    [
        (2, None),
        (3, "config.json: num_attention_heads 8 is not a multiple of 3"),
        (8, f"{LAYER}.mlp.down_proj: 64 inputs over 8 GPUs, in groups of 16"),
    ],
)
def test_tensor_parallel_sizes(size: int, evidence: str | None, folder: "CheckpointFolder") -> None:
    path = made(folder, NVFP4, nvfp4(f"{LAYER}.mlp.down_proj"))
    folder.write_config(NVFP4, num_attention_heads=8, num_key_value_heads=2)
    found = findings(path, size)
    assert found.keys() == ({"tensor-parallel-indivisible"} if evidence else set())
    if evidence:
        assert evidence in found["tensor-parallel-indivisible"].evidence


def mangle(path: Path, change: Callable[[Any], None], name: str = "config.json") -> None:
    value = json.loads((path / name).read_text())
    change(value)
    (path / name).write_text(json.dumps(value))


@pytest.fixture
def sharded(folder: "CheckpointFolder") -> Path:
    """Two shards and their index."""
    first, second = (f"model-0000{number}-of-00002.safetensors" for number in (1, 2))
    folder.write_config(FP8)
    folder.write_json("tokenizer.json", {})
    one, two = fp8(f"{LAYER}.mlp.up_proj"), fp8(f"{LAYER}.mlp.down_proj")
    folder.write_tensors(one, name=first)
    folder.write_tensors(two, name=second)
    weight_map = dict.fromkeys(one, first) | dict.fromkeys(two, second)
    folder.write_json("model.safetensors.index.json", {"weight_map": weight_map})
    assert findings(folder.path) == {}
    return folder.path


INDEX = "model.safetensors.index.json"
SECOND = "model-00002-of-00002.safetensors"


def test_a_missing_shard_by_index_and_by_number(sharded: Path) -> None:
    (sharded / SECOND).unlink()
    assert findings(sharded)["shard-missing"].evidence == (SECOND,)
    (sharded / INDEX).unlink()
    assert findings(sharded)["shard-missing"].evidence == (SECOND,)


def test_a_truncated_shard(sharded: Path) -> None:
    whole = (sharded / SECOND).read_bytes()
    (sharded / SECOND).write_bytes(whole[:-1])
    evidence = findings(sharded)["shard-truncated"].evidence
    assert evidence == (f"{SECOND}: {len(whole) - 1} of {len(whole)} bytes",)


def test_an_overlong_shard(sharded: Path) -> None:
    with (sharded / SECOND).open("ab") as shard:
        shard.write(b"more")
    assert findings(sharded).keys() == {"shard-overlong"}


def test_an_index_that_says_another_file(sharded: Path) -> None:
    name = f"{LAYER}.mlp.up_proj.weight"
    mangle(
        sharded, lambda index: index["weight_map"].update({name: SECOND, "ghost": SECOND}), INDEX
    )
    assert findings(sharded)["index-wrong"].evidence == (
        f"{name}: index says {SECOND}, it is in model-00001-of-00002.safetensors",
        f"ghost: index says {SECOND}, no file has it",
    )


def test_an_index_that_forgets(sharded: Path) -> None:
    name = f"{LAYER}.mlp.up_proj.input_scale"
    mangle(sharded, lambda index: index["weight_map"].pop(name), INDEX)
    shutil.copy(sharded / SECOND, sharded / "old.safetensors")
    assert findings(sharded)["index-incomplete"].evidence == (
        f"{name} in model-00001-of-00002.safetensors",
        "old.safetensors: not in the index",
    )


def test_a_tensor_in_two_files(sharded: Path) -> None:
    (sharded / INDEX).unlink()
    shutil.copy(sharded / SECOND, sharded / "old.safetensors")
    assert findings(sharded)["tensor-duplicated"].evidence[0].endswith(": 2 times")


def test_remote_code(folder: "CheckpointFolder") -> None:
    folder.write_config(auto_map={"AutoModel": "modeling_x.Model"})
    assert findings(folder.path)["remote-code-needed"].evidence == ("modeling_x.py",)


NESTED: dict[str, object] = {
    "quant_algo": "NVFP4",
    "group_size": 16,
    "kv_cache_quant_algo": None,
    "exclude_modules": ["lm_head"],
}


def hf(**changes: object) -> dict[str, object]:
    """A sound hf_quant_config.json, changed; `...` takes a key away."""
    quantization = {key: value for key, value in (NESTED | changes).items() if value is not ...}
    producer = {"name": "modelopt", "version": "0.46.0"}
    return {"producer": producer, "quantization": quantization}


@pytest.mark.parametrize(
    ("config", "other", "code", "evidence"),
    [
        (NVFP4, hf(), None, ""),
        (NVFP4, hf(quant_algo="FP8"), "metadata-disagrees", "config.json: quant_algo is NVFP4"),
        (
            NVFP4,
            hf(kv_cache_quant_algo="FP8"),
            "metadata-disagrees",
            "KV cache: config.json None, hf_quant_config.json FP8",
        ),
        (NVFP4, hf(exclude_modules=[]), "metadata-disagrees", "excluded in one file only: lm_head"),
        (None, hf(), None, ""),
        (None, hf(group_size=...), "nested-keys-missing", "hf_quant_config.json: no group_size"),
        (None, {**hf(), "producer": {}}, "producer-missing", "hf_quant_config.json: producer.name"),
        (
            {"quant_method": "fp8"},
            hf(),
            "hf-quant-config-shadowed",
            "config.json: quantization_config",
        ),
        ({**NVFP4, "quant_algo": "W6A6"}, None, "quant-algorithm-unknown", "config.json: W6A6"),
        (
            {**NVFP4, "quant_algo": None},
            None,
            "quant-algorithm-missing",
            "config.json: kv_cache is",
        ),
        (
            {**NVFP4, "quant_algo": "MIXED_PRECISION"},
            None,
            "quantized-layers-missing",
            "config.json: no quantized_layers",
        ),
        ({**NVFP4, "quant_method": "fp8"}, None, "quant-method-foreign", "config.json: quant_algo"),
        ({"quant_algo": "FP8"}, None, "quant-method-missing", "config.json: quant_algo is FP8"),
    ],
)
def test_metadata(
    config: object, other: object, code: str | None, evidence: str, folder: "CheckpointFolder"
) -> None:
    folder.write_config(config)
    if other is not None:
        folder.write_json("hf_quant_config.json", other)
    found = findings(folder.path)
    assert found.keys() - {"weights-missing", "tokenizer-missing"} == ({code} if code else set())
    if code:
        assert found[code].evidence[0].startswith(evidence)


def test_evidence_of_a_thousand_layers_is_short(folder: "CheckpointFolder") -> None:
    tensors: Tensors = {}
    for layer in range(1000):
        tensors |= fp8(f"model.layers.{layer}.mlp.up_proj")
        del tensors[f"model.layers.{layer}.mlp.up_proj.input_scale"]
    evidence = findings(made(folder, FP8, tensors))["scale-missing"].evidence
    assert len(evidence) == 6
    assert evidence[-1] == "… and 995 more"


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_its_page(code: str) -> None:
    page = (ROOT / "docs" / "findings" / f"{code}.md").read_text()
    assert page.startswith(f"# {code}\n")
