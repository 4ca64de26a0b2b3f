"""Repaired views on disk: what they hold, what they leave alone, when there is none."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vllm_forge.checkpoint.read import read_checkpoint
from vllm_forge.records.checkpoint import VerdictWord
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.release import Release
from vllm_forge.resolve.match import choose_verdict
from vllm_forge.run.repair import repair

Known = Callable[[str], Release]

DATA = Path(__file__).parents[2] / "data" / "checkpoints"
EXPORT = DATA / "export-0.33.1-fp8"


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir()}


def written(folder: Path, name: str = "config.json") -> Any:  # noqa: ANN401 -- JSON
    return json.loads((folder / name).read_text())


def metadata(folder: Path, config: object | None, hf: object | None) -> Path:
    """A folder with only the JSON of a checkpoint."""
    folder.mkdir(exist_ok=True)
    outer: dict[str, object] = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    if config is not None:
        outer["quantization_config"] = config
    (folder / "config.json").write_text(json.dumps(outer))
    if hf is not None:
        (folder / "hf_quant_config.json").write_text(json.dumps(hf))
    return folder


def test_the_0_33_1_export_gets_its_method_and_its_excludes(
    tmp_path: Path, known_release: Known
) -> None:
    before = state(EXPORT)
    changes = repair(EXPORT, tmp_path / "view", known_release("0.10.1"))
    assert [(change.act, change.at) for change in changes] == [
        ("set", ("quantization_config", "quant_method")),
        ("copy", ("quantization_config", "exclude_modules")),
    ]
    expected = written(EXPORT)
    expected["quantization_config"] |= {"quant_method": "modelopt", "exclude_modules": ["lm_head"]}
    assert written(tmp_path / "view") == expected
    assert state(EXPORT) == before
    assert {file.name for file in (tmp_path / "view").iterdir()} == set(before)


def test_weights_are_linked_and_small_files_are_copied(
    tmp_path: Path, known_release: Known
) -> None:
    original = shutil.copytree(EXPORT, tmp_path / "original")
    repair(original, tmp_path / "view", known_release("0.33.0"))
    weights = tmp_path / "view" / "model.safetensors"
    assert weights.samefile(original / "model.safetensors")
    (tmp_path / "view" / "tokenizer_config.json").write_text("{}")
    assert (original / "tokenizer_config.json").read_text() != "{}"


def test_a_hub_cache_of_links_can_be_repaired(tmp_path: Path, known_release: Known) -> None:
    blobs = shutil.copytree(EXPORT, tmp_path / "blobs")
    snapshot = tmp_path / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for file in blobs.iterdir():
        (snapshot / file.name).symlink_to(f"../../blobs/{file.name}")
    repair(snapshot, tmp_path / "view", known_release("0.33.0"))
    assert not (tmp_path / "view" / "config.json").is_symlink()
    assert "quant_method" not in written(blobs)["quantization_config"]
    assert len(read_checkpoint(tmp_path / "view").weights.tensors) == 49


@pytest.mark.parametrize("version", ["0.8.5", "0.10.1", "0.11.2", "0.33.0"])
@pytest.mark.parametrize(
    "folder", sorted(DATA.glob("published/*/config.json")), ids=lambda p: p.parent.name
)
def test_every_repaired_view_loads(
    folder: Path, version: str, tmp_path: Path, known_release: Known
) -> None:
    release = known_release(version)
    verdict = choose_verdict(read_checkpoint(folder.parent), release)
    if verdict.verdict is VerdictWord.REFUSED:
        with pytest.raises(Problem) as caught:
            repair(folder.parent, tmp_path / "view", release)
        assert caught.value.exit_code is ExitCode.REFUSED
        return
    changes = repair(folder.parent, tmp_path / "view", release)
    assert bool(changes) == (verdict.verdict is VerdictWord.REPAIR)
    again = choose_verdict(read_checkpoint(tmp_path / "view"), release)
    assert again.verdict in {VerdictWord.NATIVE, VerdictWord.ARGUMENT}
    assert again.quantization == verdict.quantization


def test_a_nested_mxfp8_is_flattened(tmp_path: Path, known_release: Known) -> None:
    hf = {
        "producer": {"name": "modelopt", "version": "0.42.0"},
        "quantization": {"quant_algo": "MXFP8", "group_size": 32, "exclude_modules": ["lm_head"]},
    }
    original = metadata(tmp_path / "original", None, hf)
    repair(original, tmp_path / "view", known_release("0.33.0"))
    assert written(tmp_path / "view")["quantization_config"] == {
        "quant_method": "modelopt",
        "quant_algo": "MXFP8",
        "group_size": 32,
        "ignore": ["lm_head"],
        "producer": {"name": "modelopt", "version": "0.42.0"},
    }


def test_a_layer_map_is_fetched_from_the_other_file(tmp_path: Path, known_release: Known) -> None:
    layers = {"model.layers.0.mlp.up_proj": {"quant_algo": "NVFP4", "group_size": 16}}
    original = metadata(
        tmp_path / "original",
        {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "ignore": []},
        {"quantization": {"quant_algo": "MIXED_PRECISION", "quantized_layers": layers}},
    )
    repair(original, tmp_path / "view", known_release("0.33.0"))
    assert written(tmp_path / "view")["quantization_config"]["quantized_layers"] == layers


def test_two_files_that_disagree_are_not_guessed_about(
    tmp_path: Path, known_release: Known
) -> None:
    original = metadata(
        tmp_path / "original",
        {"quant_algo": "FP8", "ignore": ["lm_head"], "kv_cache_scheme": None},
        {"quantization": {"quant_algo": "FP8", "exclude_modules": ["lm_head", "a"]}},
    )
    with pytest.raises(Problem) as caught:
        repair(original, tmp_path / "view", known_release("0.10.1"))
    assert caught.value.exit_code is ExitCode.REFUSED
    assert caught.value.causes == ("excluded in one of the two only: a",)
    assert not (tmp_path / "view").exists()
    repair(original, tmp_path / "view", known_release("0.10.1"), prefer="config.json")
    assert written(tmp_path / "view")["quantization_config"]["exclude_modules"] == ["lm_head"]


def test_the_other_file_can_be_preferred(tmp_path: Path, known_release: Known) -> None:
    original = metadata(
        tmp_path / "original",
        {"quant_method": "modelopt", "quant_algo": "FP8"},
        {
            "producer": {"name": "modelopt", "version": "0.29.0"},
            "quantization": {
                "quant_algo": "NVFP4",
                "group_size": 16,
                "kv_cache_quant_algo": None,
                "exclude_modules": [],
            },
        },
    )
    with pytest.raises(Problem, match="contradict each other"):
        repair(original, tmp_path / "view", known_release("0.10.1"))
    repair(original, tmp_path / "view", known_release("0.10.1"), prefer="hf_quant_config.json")
    assert "quantization_config" not in written(tmp_path / "view")
    repair(original, tmp_path / "kept", known_release("0.10.1"), prefer="config.json")
    assert written(tmp_path / "kept") == written(original)
    assert not (tmp_path / "kept" / "hf_quant_config.json").exists()


def test_the_tensors_decide_between_two_algorithms(tmp_path: Path, known_release: Known) -> None:
    """nvidia/DeepSeek-V3-0324-FP4 kept the fp8 config of the model it was made from."""
    original = shutil.copytree(DATA / "exports-0.46" / "nvfp4", tmp_path / "original")
    config = written(original)
    config["quantization_config"] = {"quant_method": "fp8", "weight_block_size": [128, 128]}
    (original / "config.json").write_text(json.dumps(config))
    assert read_checkpoint(original).shape == "shadowed"
    changes = repair(original, tmp_path / "view", known_release("0.33.0"))
    assert [(change.act, change.at) for change in changes] == [("remove", ("quantization_config",))]


@pytest.mark.parametrize("place", ["taken", "original/inside", "original"])
def test_an_output_that_is_taken_or_inside_is_refused(
    place: str, tmp_path: Path, known_release: Known
) -> None:
    original = shutil.copytree(EXPORT, tmp_path / "original")
    (tmp_path / "taken").mkdir()
    before = state(original)
    with pytest.raises(Problem) as caught:
        repair(original, tmp_path / place, known_release("0.33.0"))
    assert caught.value.exit_code is ExitCode.USAGE
    assert state(original) == before


def test_a_half_made_view_never_has_the_name(tmp_path: Path, known_release: Known) -> None:
    original = shutil.copytree(EXPORT, tmp_path / "original")
    (original / "zz.json").symlink_to("nowhere")
    with pytest.raises(Problem) as caught:
        repair(original, tmp_path / "view", known_release("0.33.0"))
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert [entry.name for entry in tmp_path.iterdir()] == ["original"]
