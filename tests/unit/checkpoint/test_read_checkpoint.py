"""Real metadata, and every kind of folder that is not a checkpoint."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vllm_forge.checkpoint.facts import facts_of
from vllm_forge.checkpoint.read import read_checkpoint
from vllm_forge.records.checkpoint import Format, Shape
from vllm_forge.records.problem import ExitCode, Problem

if TYPE_CHECKING:
    from tests.unit.checkpoint.conftest import CheckpointFolder

DATA = Path(__file__).parents[2] / "data" / "checkpoints"
PUBLISHED = sorted(path.parent for path in DATA.glob("published/*/expected.json"))
EXPORTS = {
    "fp8": Format.FP8,
    "fp8_pb_wo": Format.FP8_PB_WO,
    "int4_awq": Format.INT4_AWQ,
    "mxfp8": Format.MXFP8,
    "nvfp4": Format.NVFP4,
    "nvfp4_kvfp8": Format.NVFP4,
}


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.name)
def test_published_metadata_is_named(path: Path) -> None:
    expected = json.loads((path / "expected.json").read_text())
    facts = facts_of(read_checkpoint(path))
    assert (facts.format, facts.shape, facts.producer_version) == (
        expected["format"],
        expected["shape"],
        expected["producer_version"],
    )


def test_all_published_metadata_is_here() -> None:
    assert len(PUBLISHED) == 14


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_is_read_whole(name: str) -> None:
    checkpoint = read_checkpoint(DATA / "exports-0.46" / name)
    facts = facts_of(checkpoint)
    assert (facts.format, facts.shape) == (EXPORTS[name], Shape.FLAT)
    assert facts.parameters == 852_736  # the same one-layer model in every format
    assert facts.weight_bytes == (DATA / "exports-0.46" / name / "model.safetensors").stat().st_size
    assert facts.kv_cache == ("FP8" if name == "nvfp4_kvfp8" else None)
    assert facts.excluded == ("lm_head", "model.embed_tokens")
    assert len(checkpoint.observed) == 1


def test_the_0_33_1_export() -> None:
    facts = facts_of(read_checkpoint(DATA / "export-0.33.1-fp8"))
    assert facts.shape is Shape.FLAT_WITHOUT_METHOD
    assert facts.quant_method is None
    assert facts.parameters == 1_443_072
    assert facts.tokenizer == ("tokenizer.json", "tokenizer_config.json")
    assert facts.dtypes == {"BF16": 526_848, "F8_E4M3": 1_179_648, "F32": 112}


def test_layers_of_a_mixed_checkpoint_are_counted() -> None:
    facts = facts_of(read_checkpoint(DATA / "published" / "nvidia--Qwen3.6-27B-NVFP4"))
    assert facts.layers == {"FP8": 208, "W4A16_NVFP4": 193}


def test_twenty_thousand_layers_are_counted(folder: "CheckpointFolder") -> None:
    layers = {
        f"language_model.model.layers.{layer}.block_sparse_moe.experts.{expert}.w{part}": {
            "quant_algo": "NVFP4",
            "group_size": 16,
        }
        for layer in range(58)
        for expert in range(128)
        for part in (1, 2, 3)
    }
    quantization = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"}
    folder.write_config({**quantization, "quantized_layers": layers})
    folder.write_json(
        "hf_quant_config.json", {"quantization": {**quantization, "quantized_layers": layers}}
    )
    facts = facts_of(read_checkpoint(folder.path))
    assert facts.layers == {"NVFP4": 22_272}


def test_links_of_a_hub_cache_are_followed(folder: "CheckpointFolder", tmp_path: Path) -> None:
    weights = folder.write_tensors({"a.weight": ("BF16", (2, 2))})
    weights.rename(tmp_path / "blob")
    weights.symlink_to("../blob")
    assert len(read_checkpoint(folder.path).weights.tensors) == 1


def test_remote_code_is_named_with_its_neighbours(folder: "CheckpointFolder") -> None:
    folder.write_config(auto_map={"AutoModel": "modeling_x.Model", "AutoConfig": "own/er--conf.C"})
    (folder.path / "modeling_x.py").write_text("raise SystemExit")
    (folder.path / "helper_x.py").write_text("raise SystemExit")
    assert read_checkpoint(folder.path).model.remote_code == (
        "helper_x.py",
        "modeling_x.py",
        "own/er--conf.py",
    )


def refusal(path: Path) -> str:
    """The one line, checked to be one, to name the path, and to be exit 5."""
    with pytest.raises(Problem) as caught:
        read_checkpoint(path)
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert "\n" not in caught.value.message
    assert str(path) in caught.value.message
    return caught.value.message.removeprefix(str(path))


def test_nothing_there(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none") == ": No such file or directory"


def test_an_empty_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path) == ": not a checkpoint: there is no config.json"


def test_gguf_as_a_file_and_as_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF\x03\x00\x00\x00")
    assert refusal(tmp_path / "model.gguf") == ": a GGUF model, not a model directory"
    assert refusal(tmp_path) == ": a GGUF model, not a ModelOpt checkpoint"


@pytest.mark.parametrize(("method", "kind"), [("awq", "an AWQ model"), ("gptq", "a GPTQ model")])
def test_other_quantizers(method: str, kind: str, folder: "CheckpointFolder") -> None:
    folder.write_config({"quant_method": method, "bits": 4})
    assert refusal(folder.path).startswith(
        f": {kind} (config.json: quantization_config.quant_method"
    )


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model_index.json", "a diffusers pipeline"),
        ("adapter_config.json", "an adapter (PEFT), which needs its base model"),
        ("hf_quant_config.json", "the quantization half of a checkpoint, without its config.json"),
    ],
)
def test_other_kinds(name: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("{}")
    assert refusal(tmp_path) == f": {kind}; there is no config.json"


def test_a_config_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"name": "eslint"}')
    assert "has none of architectures, model_type" in refusal(tmp_path)


def test_a_trailing_comma(folder: "CheckpointFolder") -> None:
    (folder.path / "config.json").write_text('{"model_type": "llama",\n "architectures": [],\n}')
    assert refusal(folder.path) == "/config.json: line 3, column 1: trailing comma"


@pytest.mark.parametrize(
    ("quantization", "complaint"),
    [
        ({"quant_algo": ["FP8"]}, "quant_algo is ['FP8'], not a string"),
        ({"quant_algo": "FP8", "ignore": "lm_head"}, "ignore is 'lm_head', not a list"),
        ({"quant_algo": "FP8", "ignore": [1]}, "ignore is [1], not a list of strings"),
        ({"quant_algo": "FP8", "group_size": "16"}, "group_size is '16', not a whole number"),
        (
            {"quant_algo": "FP8", "kv_cache_scheme": 8},
            "kv_cache_scheme is 8, not a name or an object",
        ),
        ({"quant_algo": "MIXED_PRECISION", "quantized_layers": {"a": {}}}, "a has no quant_algo"),
        ("FP8", "config.json.quantization_config is 'FP8', not an object"),
    ],
)
def test_a_key_of_another_type(
    quantization: object, complaint: str, folder: "CheckpointFolder"
) -> None:
    folder.write_config(quantization)
    assert complaint in refusal(folder.path)


def test_an_unhashable_kv_scheme_is_only_unknown(folder: "CheckpointFolder") -> None:
    folder.write_config(
        {"quant_algo": "FP8", "kv_cache_scheme": {"type": ["float"], "num_bits": {}}}
    )
    assert facts_of(read_checkpoint(folder.path)).kv_cache == "['float'] {} bits"


@pytest.mark.parametrize(
    "file", ["../evil.safetensors", "/etc/passwd", "a/b.safetensors", "..", "", 5, "a\\b", "a\nb"]
)
def test_an_index_that_leaves_the_folder(file: object, folder: "CheckpointFolder") -> None:
    folder.write_json("model.safetensors.index.json", {"weight_map": {"a.weight": file}})
    assert "which leaves the folder" in refusal(folder.path)


def test_an_index_without_a_map(folder: "CheckpointFolder") -> None:
    folder.write_json("model.safetensors.index.json", {"metadata": {}})
    assert refusal(folder.path) == "/model.safetensors.index.json: no weight_map"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_loop_of_links(name: str, folder: "CheckpointFolder") -> None:
    (folder.path / name).unlink(missing_ok=True)
    (folder.path / name).symlink_to(name)
    assert refusal(folder.path) == f"/{name}: Too many levels of symbolic links"


def test_a_folder_that_is_a_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert refusal(tmp_path / "loop") == ": Too many levels of symbolic links"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_pipe_is_not_opened(name: str, folder: "CheckpointFolder") -> None:
    (folder.path / name).unlink(missing_ok=True)
    os.mkfifo(folder.path / name)
    assert refusal(folder.path) == f"/{name}: not a regular file"


def test_a_huge_document_is_not_read(folder: "CheckpointFolder") -> None:
    with (folder.path / "config.json").open("wb") as sparse:
        sparse.truncate(10 << 30)
    assert "/config.json: 10737418240 bytes, more than" in refusal(folder.path)
