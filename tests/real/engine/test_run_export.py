"""ModelOpt's 0.33.1 FP8 export, from `inspect` to text, with a vLLM 0.10.1 built from source."""

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from vllm_forge.records.built import Built
from vllm_forge.records.problem import ExitCode

if TYPE_CHECKING:
    from tests.support.program import Forge

pytestmark = [pytest.mark.network, pytest.mark.compile, pytest.mark.slow]

ACCEPT = """
import json, sys
from vllm.config import ModelConfig
from vllm.model_executor.model_loader.weight_utils import get_quant_config
from vllm.config import LoadConfig
config = ModelConfig(model=sys.argv[1])
quantization = get_quant_config(config, LoadConfig())
print("answer", json.dumps({
    "method": config.quantization,
    "class": type(quantization).__name__,
    "excluded": quantization.exclude_modules,
}))
"""
"""The check of 0.10.1 before any weight is loaded: ModelConfig, then the quantization's class."""


def ask_vllm(built: Built, folder: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [built.python, "-c", ACCEPT, str(folder)]
    return subprocess.run(
        command, capture_output=True, check=False, cwd=cwd, text=True, timeout=300
    )


def document_of(done: subprocess.CompletedProcess[str]) -> Any:  # noqa: ANN401 -- JSON
    assert done.returncode == ExitCode.DONE, done.stderr
    return json.loads(done.stdout)


def test_vllm_refuses_the_export_and_accepts_its_view(
    forge: "Forge", built: Built, export: Path, tmp_path: Path
) -> None:
    inspected = document_of(forge("inspect", export, "--vllm", "0.10.1", "--json"))
    (line,) = inspected["vllm"]
    assert line["verdict"] == "repair"
    assert "quant_method" in line["because"][0]["fact"]
    refused = ask_vllm(built, export, tmp_path)
    assert refused.returncode != 0
    assert "Unknown quantization method" in refused.stderr
    view = tmp_path / "view"
    document_of(forge("repair", export, "--output", view, "--vllm", built.tree, "--json"))
    accepted = ask_vllm(built, view, tmp_path)
    assert accepted.returncode == 0, accepted.stderr
    answer = json.loads(accepted.stdout.rpartition("answer ")[2])
    assert answer == {
        "method": "modelopt",
        "class": "ModelOptFp8Config",
        "excluded": ["lm_head"],
    }


def test_run_unpacks_once_and_generates(
    forge: "Forge", built: Built, export: Path, tmp_path: Path
) -> None:
    """The same text as from what `dequantize` makes: greedy, so any difference in weights shows."""
    words = ("--max-tokens", "8", "--env", built.environment, "--json")
    first = document_of(forge("run", export, "--prompt", "hello there", *words))
    assert first["choices"]["path"]["value"] == "dequantized"
    assert first["arguments"] == {"enforce_eager": True}
    assert first["seconds"].keys() == {"import", "load", "generate"}
    (output,) = first["outputs"]
    assert output["tokens"] == len(output["token_ids"]) == 8
    made = Path(first["model"])
    assert made.is_relative_to(forge.home)
    changed = (made / "model.safetensors").stat().st_mtime_ns
    plain = tmp_path / "plain"
    document_of(
        forge("dequantize", export, "--output", plain, "--env", built.environment, "--json")
    )
    assert (plain / "model.safetensors").read_bytes() == (made / "model.safetensors").read_bytes()
    prompts = ("--prompt", "hello there", "--prompt", "something else")
    second = document_of(forge("run", plain, *prompts, *words))
    assert second["choices"]["path"]["value"] == "native"
    assert [one["prompt"] for one in second["outputs"]] == ["hello there", "something else"]
    assert second["outputs"][0]["token_ids"] == output["token_ids"]
    assert (made / "model.safetensors").stat().st_mtime_ns == changed


def test_token_ids_where_there_is_no_tokenizer(
    forge: "Forge", built: Built, without_tokenizer: Path
) -> None:
    words = ("--max-tokens", "3", "--env", built.environment)
    refused = forge("run", without_tokenizer, "--prompt", "hello", *words)
    assert refused.returncode == ExitCode.REFUSED
    assert "--prompt-token-ids" in refused.stderr
    done = forge("run", without_tokenizer, "--prompt-token-ids", "5,6,7", *words)
    assert done.returncode == ExitCode.DONE, done.stderr
    assert len(done.stdout.strip().split(",")) == 3


def test_root_error_of_the_engine(
    forge: "Forge", built: Built, export: Path, tmp_path: Path
) -> None:
    """A model whose config and weights disagree: the engine says so far above its last line."""
    plain = tmp_path / "plain"
    document_of(
        forge("dequantize", export, "--output", plain, "--env", built.environment, "--json")
    )
    config = json.loads((plain / "config.json").read_text())
    config["num_key_value_heads"] = 3
    (plain / "config.json").write_text(json.dumps(config))
    done = forge("run", plain, "--prompt", "hello", "--env", built.environment)
    assert done.returncode == ExitCode.FAILED
    assert "cause: " in done.stderr
    assert "Engine core initialization failed" not in done.stderr
    assert "Error" in done.stderr.partition("cause: ")[2].splitlines()[0]
    assert "run.log" in done.stderr
