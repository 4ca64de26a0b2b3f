"""Unpacking by the real worker in a real torch, against arithmetic written out in plain Python."""

import json
import os
import random
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from math import isclose, isnan, prod
from pathlib import Path
from typing import Any

import pytest

from vllm_forge.checkpoint.lint import lint
from vllm_forge.checkpoint.read import read_checkpoint
from vllm_forge.checkpoint.safetensors_header import read_header
from vllm_forge.records.checkpoint import Format, Tensor
from vllm_forge.records.event import Event, Note, StepFinished, StepProgress
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run import dequantize as module
from vllm_forge.run.dequantize import dequantize
from vllm_forge.run.process import Worked, work

pytestmark = [pytest.mark.network, pytest.mark.slow]

DATA = Path(__file__).parents[1] / "data" / "checkpoints"
TORCH = "torch==2.6.0"
HALF_STEP = 2.0**-8
"""Farthest that the nearest BF16 number can be, relatively: 7 bits stand after the leading one."""


@pytest.fixture(scope="session")
def torch_python() -> Path:
    """An interpreter with torch, kept between runs; VLLM_FORGE_TEST_TORCH_PYTHON names another."""
    given = os.environ.get("VLLM_FORGE_TEST_TORCH_PYTHON")
    if given:
        return Path(given)
    cache = Path(os.environ.get("VLLM_FORGE_TEST_CACHE", "~/.cache/vllm-forge-tests")).expanduser()
    env = cache / TORCH.replace("==", "-")
    python = env / "bin" / "python"
    if not (env / "done").exists():
        uv = shutil.which("uv") or pytest.skip("uv is not on PATH")
        subprocess.run([uv, "venv", "--clear", "--python", "3.11", env], check=True)
        subprocess.run([uv, "pip", "install", "--python", python, TORCH], check=True)
        (env / "done").touch()
    return python


def ignore(event: Event) -> None:
    """Nobody watches."""


def e4m3(code: int) -> float:
    """FP8 E4M3 (OCP): bias 7, no infinities, 0x7f is NaN."""
    sign = -1.0 if code & 0x80 else 1.0
    exponent, fraction = (code >> 3) & 15, code & 7
    if exponent == 15 and fraction == 7:
        return float("nan")
    if exponent == 0:
        return sign * fraction * 2.0**-9
    return sign * (1 + fraction / 8) * 2.0 ** (exponent - 7)


def e2m1(code: int) -> float:
    """FP4 E2M1: bias 1."""
    magnitude = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)[code & 7]
    return -magnitude if code & 8 else magnitude


def bf16(low: int, high: int) -> float:
    value: float = struct.unpack("<f", bytes((0, 0, low, high)))[0]
    return value


class Folder:
    """Tensors of a folder by name; their bytes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tensors: dict[str, Tensor] = {}
        for file in sorted(path.glob("*.safetensors")):
            self.tensors |= {tensor.name: tensor for tensor in read_header(file).tensors}

    def raw(self, name: str) -> bytes:
        tensor = self.tensors[name]
        return (self.path / tensor.file).read_bytes()[tensor.start : tensor.stop]

    def floats(self, name: str) -> list[float]:
        raw = self.raw(name)
        if self.tensors[name].dtype == "BF16":
            return [bf16(*raw[place : place + 2]) for place in range(0, len(raw), 2)]
        return list(struct.unpack(f"<{len(raw) // 4}f", raw))


def expected(folder: Folder, name: str) -> list[float]:
    """The weight in F64, straight from the definition of its format."""
    weight = folder.tensors[f"{name}.weight"]
    scale = next(
        folder.tensors[f"{name}.{part}"]
        for part in ("weight_scale", "weight_scale_inv")
        if f"{name}.{part}" in folder.tensors
    )
    codes = folder.raw(weight.name)
    columns = weight.shape[-1]
    if weight.dtype == "U8":
        nibbles = [part for byte in codes for part in (byte & 15, byte >> 4)]
        block = [e4m3(code) for code in folder.raw(scale.name)]
        whole = folder.floats(f"{name}.weight_scale_2")[0]
        return [e2m1(code) * block[place // 16] * whole for place, code in enumerate(nibbles)]
    values = [e4m3(code) for code in codes]
    if scale.dtype == "U8":
        powers = [2.0 ** (code - 127) for code in folder.raw(scale.name)]
        return [value * powers[place // 32] for place, value in enumerate(values)]
    scales = folder.floats(scale.name)
    if len(scales) == 1:
        return [value * scales[0] for value in values]
    if prod(scale.shape) == weight.shape[0]:
        run = len(values) // len(scales)
        return [value * scales[place // run] for place, value in enumerate(values)]
    across = -(-columns // 128)
    return [
        value * scales[(place // columns // 128) * across + place % columns // 128]
        for place, value in enumerate(values)
    ]


def nearest_bf16(value: float) -> float:
    """Round to nearest, ties to even, by way of F32."""
    if isnan(value):
        return value
    bits: int = struct.unpack("<I", struct.pack("<f", value))[0]
    bits += 0x7FFF + (bits >> 16 & 1)
    return bf16(bits >> 16 & 0xFF, bits >> 24 & 0xFF)


def assert_close(name: str, mine: list[float], theirs: list[float]) -> None:
    """Never farther than half a step of BF16, and equal to its rounding but for ties."""
    same = 0
    for got, definition in zip(mine, theirs, strict=True):
        assert isclose(got, definition, rel_tol=HALF_STEP * 1.001, abs_tol=1e-38) or (
            isnan(got) and isnan(definition)
        ), f"{name}: {got} is not {definition}"
        nearest = nearest_bf16(definition)
        same += got == nearest or isnan(nearest)
    assert same >= 0.999 * len(mine), f"{name}: {same} of {len(mine)} are equal"


def assert_equivalent(before: Path, after: Path) -> int:
    """Weights as defined, everything else byte for byte; the number of weights."""
    old, new = Folder(before), Folder(after)
    weights = 0
    for name, tensor in new.tensors.items():
        if old.tensors[name].dtype == tensor.dtype:
            assert new.raw(name) == old.raw(name)
            continue
        assert tensor.dtype == "BF16"
        assert_close(name, new.floats(name), expected(old, name.removesuffix(".weight")))
        weights += 1
    return weights


EXPORTS = ["fp8", "fp8_pb_wo", "mxfp8", "nvfp4", "nvfp4_kvfp8"]


@pytest.mark.parametrize("name", EXPORTS)
def test_real_exports(name: str, tmp_path: Path, torch_python: Path) -> None:
    source = DATA / "exports-0.46" / name
    tensors = dequantize(source, tmp_path / "plain", torch_python, ignore)
    assert assert_equivalent(source, tmp_path / "plain") == len(tensors) == 7
    checkpoint = read_checkpoint(tmp_path / "plain")
    assert checkpoint.format is Format.NONE
    assert {finding.code for finding in lint(checkpoint, {})} == {"tokenizer-missing"}
    assert len(checkpoint.weights.tensors) == 12


def test_the_0_33_1_export_keeps_its_tokenizer(tmp_path: Path, torch_python: Path) -> None:
    source = DATA / "export-0.33.1-fp8"
    dequantize(source, tmp_path / "plain", torch_python, ignore)
    assert assert_equivalent(source, tmp_path / "plain") == 14
    config = json.loads((source / "config.json").read_text())
    del config["quantization_config"]
    assert json.loads((tmp_path / "plain" / "config.json").read_text()) == config
    assert (tmp_path / "plain" / "tokenizer.json").read_bytes() == (
        source / "tokenizer.json"
    ).read_bytes()
    assert not (tmp_path / "plain" / "hf_quant_config.json").exists()


def write(path: Path, files: dict[str, dict[str, tuple[str, tuple[int, ...], bytes]]]) -> Path:
    """Safetensors files: file → tensor → (dtype, shape, data)."""
    path.mkdir()
    config = {"architectures": ["LlamaForCausalLM"], "torch_dtype": "float16"}
    quantization = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "ignore": []}
    (path / "config.json").write_text(json.dumps({**config, "quantization_config": quantization}))
    weight_map = {}
    for file, tensors in files.items():
        header: dict[str, Any] = {}
        data = b""
        for name, (dtype, shape, raw) in tensors.items():
            offsets = [len(data), len(data) + len(raw)]
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
            data += raw
            weight_map[name] = file
        text = json.dumps(header).encode()
        (path / file).write_bytes(len(text).to_bytes(8, "little") + text + data)
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return path


def mixed(path: Path) -> Path:
    """Every layout with awkward sizes, in two files, a scale in the other file than its weight."""
    source = random.Random(7)  # noqa: S311 -- the same bytes every time

    def floats(count: int) -> bytes:
        return struct.pack(f"<{count}f", *(source.uniform(1e-4, 2.0) for _ in range(count)))

    return write(
        path,
        {
            "model-00001-of-00002.safetensors": {
                "odd.weight": ("F8_E4M3", (7, 9), source.randbytes(63)),
                "odd.weight_scale": ("F32", (1,), floats(1)),
                "rows.weight": ("F8_E4M3", (300, 70), source.randbytes(21_000)),
                "rows.weight_scale": ("F32", (300,), floats(300)),
                "blocks.weight": ("F8_E4M3", (200, 384), source.randbytes(76_800)),
                "partial.weight": ("F8_E4M3", (130, 130), source.randbytes(16_900)),
                "partial.weight_scale_inv": ("F32", (2, 2), floats(4)),
                "experts.down_proj": ("F8_E4M3", (3, 8, 10), source.randbytes(240)),
                "experts.down_proj_weight_scale": ("F32", (3,), floats(3)),
                "norm.weight": ("F16", (5,), source.randbytes(10)),
            },
            "model-00002-of-00002.safetensors": {
                "blocks.weight_scale": ("F32", (2, 1, 3, 1), floats(6)),
                "fp4.weight": ("U8", (33, 24), source.randbytes(792)),
                "fp4.weight_scale": ("F8_E4M3", (33, 3), source.randbytes(99)),
                "fp4.weight_scale_2": ("F32", (), floats(1)),
                "mx.weight": ("F8_E4M3", (5, 96), source.randbytes(480)),
                "mx.weight_scale": ("U8", (5, 3), bytes(range(115, 130))),
                "wide.weight": ("F8_E4M3", (2, 300_000), source.randbytes(600_000)),
                "wide.weight_scale": ("F32", (2, 1), floats(2)),
            },
        },
    )


def test_every_layout_at_awkward_sizes(tmp_path: Path, torch_python: Path) -> None:
    source = mixed(tmp_path / "packed")
    tensors = dequantize(source, tmp_path / "plain", torch_python, ignore, shard_bytes=200_000)
    before = Folder(source)
    found = {tensor.name: tensor.algorithm for tensor in tensors}
    assert found == {
        "odd.weight": "FP8",
        "rows.weight": "FP8_PER_CHANNEL_PER_TOKEN",
        "blocks.weight": "FP8_PB_WO",
        "partial.weight": "FP8_PB_WO",
        "experts.down_proj": "FP8",
        "fp4.weight": "W4A16_NVFP4",
        "mx.weight": "MXFP8",
        "wide.weight": "FP8_PER_CHANNEL_PER_TOKEN",
    }
    after = Folder(tmp_path / "plain")
    assert after.raw("norm.weight") == before.raw("norm.weight")
    for name in found:
        mine = after.floats(name)
        if name == "experts.down_proj":
            assert_close(name, mine, expected_of_expert(source))
        else:
            assert_close(name, mine, expected(before, name.removesuffix(".weight")))
    index = json.loads((tmp_path / "plain" / "model.safetensors.index.json").read_text())
    assert index["weight_map"] == {name: tensor.file for name, tensor in after.tensors.items()}
    assert len(set(index["weight_map"].values())) > 2
    assert json.loads((tmp_path / "plain" / "config.json").read_text())["torch_dtype"] == "bfloat16"


def expected_of_expert(source: Path) -> list[float]:
    folder = Folder(source)
    scales = folder.floats("experts.down_proj_weight_scale")
    codes = folder.raw("experts.down_proj")
    return [e4m3(code) * scales[place // 80] for place, code in enumerate(codes)]


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make the worker's output end after a line that contains a word: the process is killed."""

    def die_after(word: str) -> None:
        def watched(command: Any, **options: Any) -> Worked:  # noqa: ANN401 -- passed on
            hear = options["on_line"]

            def hear_and_die(line: str) -> None:
                hear(line)
                if word in line:
                    raise KeyboardInterrupt

            return work(command, **{**options, "on_line": hear_and_die})

        monkeypatch.setattr(module, "work", watched)

    return die_after


def test_an_interrupted_run_is_resumed(
    tmp_path: Path,
    torch_python: Path,
    dying: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = mixed(tmp_path / "packed")
    dequantize(source, tmp_path / "whole", torch_python, ignore, shard_bytes=200_000)
    dying('"shard"')
    with pytest.raises(KeyboardInterrupt):
        dequantize(source, tmp_path / "plain", torch_python, ignore, shard_bytes=200_000)
    assert not (tmp_path / "plain").exists()
    half = tmp_path / ".plain.half"
    finished = json.loads((half / "journal.json").read_text())["finished"]
    first = min(finished)
    stamp = (half / first).stat().st_mtime_ns
    monkeypatch.undo()
    events: list[Event] = []
    dequantize(source, tmp_path / "plain", torch_python, events.append, shard_bytes=200_000)
    assert any(isinstance(event, Note) for event in events)
    assert (tmp_path / "plain" / first).stat().st_mtime_ns == stamp
    assert not half.exists()
    for file in (tmp_path / "whole").iterdir():
        assert file.read_bytes() == (tmp_path / "plain" / file.name).read_bytes()


def test_a_spoilt_shard_is_made_again(
    tmp_path: Path,
    torch_python: Path,
    dying: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = mixed(tmp_path / "packed")
    dying('"shard"')
    with pytest.raises(KeyboardInterrupt):
        dequantize(source, tmp_path / "plain", torch_python, ignore, shard_bytes=200_000)
    half = tmp_path / ".plain.half"
    first = min(json.loads((half / "journal.json").read_text())["finished"])
    spoilt = bytearray((half / first).read_bytes())
    spoilt[-1] ^= 1
    (half / first).write_bytes(spoilt)
    monkeypatch.undo()
    dequantize(source, tmp_path / "plain", torch_python, ignore, shard_bytes=200_000)
    assert (tmp_path / "plain" / first).read_bytes() != bytes(spoilt)


def test_memory_and_speed(
    tmp_path: Path,
    torch_python: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A 400 MB tensor (in BF16) in less memory than itself and torch; figures are printed.

    Read from the worker's own memory while it works: what the kernel says of an ended process
    begins with the resident size of the one that started it, here a whole test session's.
    """
    rows, columns = 12_800, 16_384
    codes = random.Random(3).randbytes(1 << 20) * (rows * columns // 2 >> 20)  # noqa: S311
    groups = bytes(range(0x20, 0x60)) * (rows * columns // 16 // 64)
    source = write(
        tmp_path / "packed",
        {
            "model.safetensors": {
                "big.weight": ("U8", (rows, columns // 2), codes),
                "big.weight_scale": ("F8_E4M3", (rows, columns // 16), groups),
                "big.weight_scale_2": ("F32", (), struct.pack("<f", 0.01)),
            }
        },
    )
    seen: list[Worked] = []
    peaks = [0]

    def look(process: int) -> None:
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines()
        )
        if "VmHWM" in status:  # not any more once it has ended
            peaks.append(int(status["VmHWM"].removesuffix("kB")) * 1024)

    def measured(command: Any, **options: Any) -> Worked:  # noqa: ANN401 -- passed on
        seen.append(work(command, on_tick=look, **options))
        return seen[-1]

    monkeypatch.setattr(module, "work", measured)
    events: list[Event] = []
    dequantize(source, tmp_path / "plain", torch_python, events.append)
    peak = max(peaks)
    assert 50_000_000 < peak < 600_000_000  # torch itself and a few chunks
    copied = time.perf_counter()
    shutil.copyfile(tmp_path / "plain" / "model.safetensors", tmp_path / "copy")
    copied = time.perf_counter() - copied
    assert sum(isinstance(event, StepProgress) for event in events) > 1
    summary = next(event.summary for event in events if isinstance(event, StepFinished))
    sys.stdout.write(
        f"\n{summary}; peak {peak / 1e6:.0f} MB, {seen[0].seconds:.1f} s with torch's start; "
        f"copying the result {copied:.1f} s\n"
    )


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("int4_awq", ExitCode.REFUSED, "7 weights are packed in a way"),
        ("truncated", ExitCode.BAD_INPUT, "the weights are not whole"),
        ("plain", ExitCode.REFUSED, "nothing is quantized here"),
    ],
)
def test_what_is_not_unpacked(name: str, code: ExitCode, message: str, tmp_path: Path) -> None:
    source = DATA / "exports-0.46" / "int4_awq"
    if name == "truncated":
        source = Path(shutil.copytree(DATA / "exports-0.46" / "fp8", tmp_path / "cut"))
        os.truncate(source / "model.safetensors", 1_000_000)
    if name == "plain":
        source = Path(shutil.copytree(DATA / "exports-0.46" / "fp8", tmp_path / "none"))
        config = json.loads((source / "config.json").read_text())
        del config["quantization_config"]
        (source / "config.json").write_text(json.dumps(config))
        (source / "hf_quant_config.json").unlink()
    with pytest.raises(Problem) as caught:
        dequantize(source, tmp_path / "output", Path("/no/python"), ignore)
    assert caught.value.exit_code is code
    assert message in caught.value.message
    assert not (tmp_path / "output").exists()
    assert not (tmp_path / ".output.half").exists()


def test_a_failing_worker_is_quoted(tmp_path: Path) -> None:
    without_torch = shutil.which("python3")
    assert without_torch is not None
    with pytest.raises(Problem) as caught:
        dequantize(DATA / "exports-0.46" / "fp8", tmp_path / "output", Path(without_torch), ignore)
    assert caught.value.exit_code is ExitCode.FAILED
    assert "No module named 'torch'" in caught.value.causes[-1]
