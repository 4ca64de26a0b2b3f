"""Checkpoints made on the spot: any tensors, any JSON, and ways to damage them."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[2] / "data" / "checkpoints"
BITS = {"F8_E4M3": 8, "U8": 8, "I8": 8, "BF16": 16, "F16": 16, "F32": 32}


class CheckpointFolder:
    """A model directory under construction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(exist_ok=True)

    def write_json(self, name: str, value: object) -> None:
        (self.path / name).write_text(json.dumps(value))

    def write_config(self, quantization: object = None, **more: object) -> None:
        config: dict[str, object] = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
        if quantization is not None:
            config["quantization_config"] = quantization
        self.write_json("config.json", config | more)

    def write_tensors(
        self,
        tensors: Mapping[str, tuple[str, tuple[int, ...]]],
        values: Mapping[str, float] | None = None,
        name: str = "model.safetensors",
    ) -> Path:
        """`tensors`: name → (dtype, shape), zeros; `values` fill F32 scalars, else 1."""
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        data = b""
        for tensor, (dtype, shape) in tensors.items():
            elements = 1
            for size in shape:
                elements *= size
            raw = bytes(elements * BITS[dtype] // 8)
            if dtype == "F32" and elements == 1:
                raw = struct.pack("<f", (values or {}).get(tensor, 1.0))
            header[tensor] = {
                "dtype": dtype,
                "shape": shape,
                "data_offsets": [len(data), len(data) + len(raw)],
            }
            data += raw
        return self.write_safetensors(header, data, name)

    def write_safetensors(
        self, header: object, data: bytes = b"", name: str = "model.safetensors"
    ) -> Path:
        """Any header, checked by nobody."""
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        path = self.path / name
        path.write_bytes(len(text).to_bytes(8, "little") + text + data)
        return path


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    """A folder with a plain config.json."""
    made = CheckpointFolder(tmp_path / "checkpoint")
    made.write_config()
    return made
