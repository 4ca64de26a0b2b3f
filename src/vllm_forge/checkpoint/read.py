"""A model directory → `Checkpoint`."""

from pathlib import Path
from typing import Any, Final

from vllm_forge.checkpoint.documents import read_document
from vllm_forge.checkpoint.fields import Fields
from vllm_forge.checkpoint.model import parse_model
from vllm_forge.checkpoint.modules import modules_of, observed_algorithm
from vllm_forge.checkpoint.quantization import (
    FOREIGN_METHODS,
    format_of,
    parse_quantization,
    shape_of,
)
from vllm_forge.checkpoint.trouble import bad_checkpoint, shown, unreadable
from vllm_forge.checkpoint.weights import read_weights
from vllm_forge.records.checkpoint import Checkpoint, QuantizationDocument, Shape, Weights

CONFIG: Final = "config.json"
HF_QUANT_CONFIG: Final = "hf_quant_config.json"
GENERATION_CONFIG: Final = "generation_config.json"
TOKENIZERS: Final = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "spiece.model",
    "tekken.json",
    "tiktoken.model",
)
MOST_FILES: Final = 100_000
MODEL_KEYS: Final = ("architectures", "model_type", "quantization_config")
GGUF_MAGIC: Final = b"GGUF"
OTHER_KINDS: Final = (
    ("model_index.json", "a diffusers pipeline"),
    ("adapter_config.json", "an adapter (PEFT), which needs its base model"),
    ("rank0.safetensors", "a TensorRT-LLM checkpoint"),
    ("params.json", "a Mistral or Llama original"),
    (HF_QUANT_CONFIG, "the quantization half of a checkpoint, without its config.json"),
)
"""File → what a folder without a usable config.json is, when it has that file."""


def read_checkpoint(path: Path) -> Checkpoint:
    """JSON files and safetensors headers of one folder; neither weights nor code.

    Files may be symbolic links to elsewhere, as the hub's cache and `repair` make them; names
    written *inside* the files may not leave the folder.

    Raises:
        Problem: exit 5, one line with the path: not a checkpoint (and what it is instead), or a
            file that is damaged.
    """
    names = file_names(path)
    if CONFIG not in names:
        raise not_a_checkpoint(path, names)
    config = Fields(read_document(path / CONFIG), shown(str(path / CONFIG)))
    refuse_foreign(path, config, names)
    documents = (
        config_document(config),
        hf_document(path / HF_QUANT_CONFIG) if HF_QUANT_CONFIG in names else None,
    )
    shape = shape_of(*documents)
    weights = read_weights(path, names)
    meant = documents[1] if shape in {Shape.HF_QUANT_CONFIG_ONLY, Shape.SHADOWED} else documents[0]
    return Checkpoint(
        path=str(path),
        model=parse_model(config, tuple(name for name in names if name.endswith(".py"))),
        format=format_of(meant, shape),
        shape=shape,
        config=documents[0],
        hf_quant_config=documents[1],
        weights=weights,
        observed=observed_algorithms(weights),
        tokenizer=tuple(name for name in TOKENIZERS if name in names),
        generation_config=GENERATION_CONFIG if GENERATION_CONFIG in names else None,
    )


def observed_algorithms(weights: Weights) -> tuple[str, ...]:
    """What the tensors look like, whatever the metadata says."""
    found = {observed_algorithm(module) for module in modules_of(weights.tensors).values()}
    return tuple(sorted(name for name in found if name is not None))


def file_names(path: Path) -> tuple[str, ...]:
    """Sorted names of what is not a folder."""
    where = shown(str(path))
    try:
        if not path.is_dir():
            path.stat()
            raise bad_checkpoint(f"{where}: {kind_of_file(path)}, not a model directory")
        names = [entry.name for entry in path.iterdir() if not entry.is_dir()]
    except OSError as error:
        raise unreadable(path, error) from error
    if len(names) > MOST_FILES:
        raise bad_checkpoint(f"{where}: {len(names)} files, more than a checkpoint has")
    return tuple(sorted(names))


def kind_of_file(path: Path) -> str:
    if not path.is_file():
        return "not a regular file"
    with path.open("rb") as data:
        return "a GGUF model" if data.read(len(GGUF_MAGIC)) == GGUF_MAGIC else "a file"


def not_a_checkpoint(path: Path, names: tuple[str, ...]) -> Exception:
    """Say what the folder is instead, as far as its files tell."""
    where = shown(str(path))
    if any(name.endswith(".gguf") for name in names):
        return bad_checkpoint(f"{where}: a GGUF model, not a ModelOpt checkpoint")
    for name, kind in OTHER_KINDS:
        if name in names:
            return bad_checkpoint(f"{where}: {kind}; there is no {CONFIG}")
    return bad_checkpoint(
        f"{where}: not a checkpoint: there is no {CONFIG}",
        "give the folder that holds config.json and the *.safetensors files",
    )


def refuse_foreign(path: Path, config: Fields, names: tuple[str, ...]) -> None:
    """Formats that have their own loaders in vLLM, and the look-alikes of other engines."""
    where = shown(str(path))
    method = raw_method(config)
    if method in FOREIGN_METHODS:
        raise bad_checkpoint(
            f"{where}: {FOREIGN_METHODS[method]} (config.json: quantization_config.quant_method "
            f"is {method}), not a ModelOpt checkpoint",
            f"vllm serve {where}  # vLLM reads this format by itself",
        )
    if any(name.endswith(".gguf") for name in names) and not any(
        name.endswith(".safetensors") for name in names
    ):
        raise bad_checkpoint(f"{where}: a GGUF model, not a ModelOpt checkpoint")
    if not any(key in config.values for key in MODEL_KEYS):
        if "producer" in config.values and "quantization" in config.values:
            raise bad_checkpoint(f"{where}: a TensorRT-LLM checkpoint, not a Hugging Face one")
        raise bad_checkpoint(
            f"{where}: not a checkpoint: {CONFIG} has none of {', '.join(MODEL_KEYS)}"
        )


def raw_method(config: Fields) -> str | None:
    values = config.values.get("quantization_config")
    method = values.get("quant_method") if isinstance(values, dict) else None
    return method.lower() if isinstance(method, str) else None


def config_document(config: Fields) -> QuantizationDocument | None:
    """`quantization_config`, else the language model's, as vLLM looks for them."""
    for at in (("quantization_config",), ("text_config", "quantization_config")):
        fields: Fields | None = config
        for key in at:
            fields = fields.fields(key) if fields else None
        if fields is not None and fields.values:
            return parse_quantization(dict(fields.values), file=CONFIG, at=at, origin=fields.origin)
    return None


def hf_document(path: Path) -> QuantizationDocument | None:
    values: dict[str, Any] = read_document(path)
    if not values:
        return None
    return parse_quantization(values, file=HF_QUANT_CONFIG, at=(), origin=shown(str(path)))
