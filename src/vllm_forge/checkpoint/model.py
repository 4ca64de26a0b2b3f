"""What config.json says about the model beside its quantization."""

from pathlib import PurePosixPath
from typing import Final

from vllm_forge.checkpoint.fields import Fields
from vllm_forge.records.checkpoint import Dimensions, ModelConfig

EXPERTS: Final = ("num_experts", "n_routed_experts", "num_local_experts")


def parse_model(config: Fields, python_files: tuple[str, ...]) -> ModelConfig:
    """`python_files` are those that lie in the folder."""
    text = config.fields("text_config") or config.fields("llm_config") or config
    return ModelConfig(
        architectures=config.texts("architectures") or (),
        model_type=config.text("model_type"),
        dtype=config.text("dtype") or config.text("torch_dtype") or text.text("torch_dtype"),
        tied_embeddings=bool(config.flag("tie_word_embeddings")),
        dimensions=Dimensions(
            hidden_size=size(text, "hidden_size"),
            intermediate_size=size(text, "intermediate_size"),
            attention_heads=size(text, "num_attention_heads"),
            key_value_heads=size(text, "num_key_value_heads"),
            experts=next((found for key in EXPERTS if (found := size(text, key))), None),
            vocabulary=size(text, "vocab_size"),
        ),
        remote_code=remote_code(config, python_files),
    )


def size(fields: Fields, key: str) -> int | None:
    """A count that applies to every layer; a list (one for each layer) is not one."""
    value = fields.values.get(key)
    return value if type(value) is int and value > 0 else None


def remote_code(config: Fields, python_files: tuple[str, ...]) -> tuple[str, ...]:
    """The files `auto_map` leads to, `module.Class` or `owner/repository--module.Class`.

    A module imports its neighbours, so every Python file in the folder comes along once one of
    them is run.
    """
    auto_map = config.fields("auto_map")
    if auto_map is None:
        return ()
    references: list[str] = []
    for value in auto_map.values.values():
        references += [item for item in (value if isinstance(value, list) else [value]) if item]
    files: set[str] = set()
    for reference in references:
        repository, _, target = str(reference).rpartition("--")
        module = str(PurePosixPath(target.rpartition(".")[0] or target))
        files.add(f"{repository}--{module}.py" if repository else f"{module}.py")
    if any("--" not in file for file in files):
        files |= set(python_files)
    return tuple(sorted(files))
