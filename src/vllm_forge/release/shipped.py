"""Files of vllm_forge/data, made by scripts/release_table.py and scripts/torch_table.py."""

from importlib.resources import files


def read_shipped(name: str) -> bytes:
    return files("vllm_forge").joinpath("data", name).read_bytes()
