"""Real tiny checkpoints by nvidia-modelopt itself, each version in an environment of its own.

Environments and exports are kept in $VLLM_FORGE_TEST_CACHE, else ~/.cache/vllm-forge-tests.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(os.environ.get("VLLM_FORGE_TEST_CACHE") or Path.home() / ".cache" / "vllm-forge-tests")
SCRIPT = Path(__file__).with_name("modelopt_tiny.py")

REQUIREMENTS = {
    "0.29.0": ("nvidia-modelopt[torch]==0.29.0", "onnx", "torch==2.6.0", "transformers==4.51.3"),
    "0.33.1": ("nvidia-modelopt==0.33.1", "torch==2.6.0", "transformers==4.53.3"),
    "0.46.0": ("nvidia-modelopt==0.46.0", "torch==2.13.0", "transformers==4.57.6"),
}
"""What each version wants and does not always say: 0.29 imports onnx to export."""
RECIPES = {
    "0.29.0": ("fp8", "fp8_pb_wo"),
    "0.33.1": ("fp8", "fp8_pb_wo"),
    "0.46.0": ("fp8", "fp8_pb_wo", "nvfp4", "mxfp8", "mixed"),
}
"""What each can export without a GPU."""
WITH_REFERENCE = {("0.46.0", "fp8"), ("0.46.0", "fp8_pb_wo")}


@dataclass(frozen=True, slots=True)
class Export:
    """`reference` (weights) and `logits` are the fake-quantized model's, where that is possible."""

    version: str
    recipe: str
    folder: Path
    reference: Path | None
    logits: Path | None


def modelopt_python(version: str) -> Path:
    """The interpreter of that version's environment, made when it is not there."""
    env = CACHE / f"modelopt-{version}"
    python = env / "bin" / "python"
    if (env / "done").exists():
        return python
    uv = shutil.which("uv")
    assert uv is not None, "uv makes the environment"
    local = os.environ.get("PIP_FIND_LINKS")
    options = ["--find-links", local] if local else []
    wanted = (*REQUIREMENTS[version], "accelerate", "setuptools<80")
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", "3.11", env], check=True)
    subprocess.run(
        [uv, "pip", "install", "--quiet", *options, "--python", python, *wanted], check=True
    )
    (env / "done").touch()
    return python


def run_modelopt(version: str, *arguments: str | Path) -> str:
    """What the script printed; its complaints are shown when it fails."""
    done = subprocess.run(
        [modelopt_python(version), SCRIPT, *arguments], capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def export_checkpoint(version: str, recipe: str) -> Export:
    """Quantize and export once; later calls find it."""
    folder = CACHE / "exports" / f"{version}-{recipe}"
    with_reference = (version, recipe) in WITH_REFERENCE
    if not (folder / "model.safetensors").exists():
        half = folder.with_name(f"{folder.name}.half")
        shutil.rmtree(half, ignore_errors=True)
        half.parent.mkdir(parents=True, exist_ok=True)
        run_modelopt(version, recipe, half, *(["reference"] if with_reference else []))
        for suffix in ("reference.safetensors", "logits.json") if with_reference else ():
            Path(f"{half}.{suffix}").replace(Path(f"{folder}.{suffix}"))
        half.replace(folder)
    return Export(
        version,
        recipe,
        folder,
        Path(f"{folder}.reference.safetensors") if with_reference else None,
        Path(f"{folder}.logits.json") if with_reference else None,
    )
