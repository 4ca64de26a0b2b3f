"""Verdicts against vLLM's own code: its configuration classes, taken out of each tree and run.

The classes of modelopt.py and the producer patch need nothing but each other, so they run without
vLLM's imports: names they only mention stand for themselves.
"""

import ast
import builtins
import copy
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vllm_forge.checkpoint.quantization import format_of, parse_quantization, shape_of
from vllm_forge.records.checkpoint import Checkpoint, Format, ModelConfig, VerdictWord, Weights
from vllm_forge.records.release import Release
from vllm_forge.release.tree import read_release
from vllm_forge.resolve.match import choose_verdict
from vllm_forge.run.archive import unpack_sdist
from vllm_forge.run.index import read_index_settings, read_project
from vllm_forge.run.network import Network
from vllm_forge.run.process import run_command
from vllm_forge.run.repair import apply_changes

pytestmark = pytest.mark.network

CACHE = Path(os.environ.get("VLLM_FORGE_TEST_CACHE") or Path.home() / ".cache" / "vllm-forge-tests")
ROWS = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "checkpoints" / "exporter-by-version.jsonl")
    .read_text()
    .splitlines()
]
MODELOPT = "vllm/model_executor/layers/quantization/modelopt.py"
PATCHES = (
    "vllm/transformers_utils/model_arch_config_convertor.py",
    "vllm/config/model.py",
    "vllm/config/__init__.py",
    "vllm/config.py",
)
PATCH_NAMES = ("_normalize_quantization_config", "_parse_quant_hf_config")


def tree_of(version: str) -> Path:
    """A release's tree, downloaded and unpacked once for all sessions."""
    folder = CACHE / f"vllm-{version}"
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        name = f"vllm-{version}.tar.gz"
        network = Network()
        files = read_project("vllm", read_index_settings(os.environ, run_command), network)
        archive = CACHE / name
        archive.write_bytes(network(next(file.url for file in files if file.filename == name)))
        unpack_sdist(archive, folder)
        archive.unlink()
    return folder


class Mentioned:
    """Stands for any name that the code under test only mentions."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- anything
        if name.startswith("__"):
            raise AttributeError(name)
        return Mentioned()

    def __call__(self, *_: object, **__: object) -> "Mentioned":
        return self


class Base:
    """What the classes inherit from vLLM's QuantizationConfig."""

    def __init__(self, *_: object) -> None:
        pass

    @staticmethod
    def get_from_keys(config: dict[str, Any], keys: list[str]) -> Any:  # noqa: ANN401 -- JSON
        for key in keys:
            if key in config:
                return config[key]
        raise ValueError(f"Cannot find any of {keys}")

    @classmethod
    def override_quantization_method(cls, *_: object) -> str | None:
        return None


def run(nodes: list[ast.stmt], names: dict[str, Any]) -> dict[str, Any]:
    """Execute definitions with annotations left alone."""
    future = ast.parse("from __future__ import annotations").body
    module = ast.Module(body=[*future, *nodes], type_ignores=[])
    space: dict[str, Any] = {
        node.id: Mentioned
        for node in ast.walk(module)
        if isinstance(node, ast.Name) and not hasattr(builtins, node.id)
    }
    space |= {"__name__": "taken", **names}
    exec(compile(ast.fix_missing_locations(module), "taken", "exec"), space)  # noqa: S102 -- vLLM's own
    return space


class Vllm:
    """One release's own reading."""

    def __init__(self, version: str) -> None:
        tree = tree_of(version)
        self.release: Release = read_release(tree)
        self.numbers = tuple(int(part) for part in version.split("."))
        kept = [node for node in ast.parse((tree / MODELOPT).read_text()).body if is_reading(node)]
        names = {
            "QuantizationConfig": Base,
            "B12X_BLOCK_CODECS": {},
            "cast": lambda _, value: value,
            "logger": Mentioned(),
        }
        space = run(kept, names)
        self.classes = {
            entry.name: space[str(entry.config_class.value)]
            for entry in self.release.quantization
            if str(entry.config_class.value).startswith("ModelOpt")
        }
        self.patch = producer_patch(tree)

    def trouble(self, config: Any, other: Any, argument: str | None) -> str | None:  # noqa: ANN401, C901 -- JSON; the steps of vLLM
        """What vLLM says to this metadata, in its own order; None when it reads it."""
        config, other = copy.deepcopy(config), copy.deepcopy(other)
        if config is None and self.numbers >= (0, 10):  # get_config() takes the other file
            config = other
        hf_config = (
            SimpleNamespace() if config is None else SimpleNamespace(quantization_config=config)
        )
        try:
            patched = self.patch(hf_config)
            quantization = argument
            if patched is not None:
                method = (patched.get("quant_method") or "").lower()
                patched["quant_method"] = method
                override = self.override(patched)
                if override is not None:
                    method = quantization = override
                if self.numbers >= (0, 11, 2) and not method:
                    method = None
                if quantization is None:
                    quantization = method
                elif quantization != method:
                    return f"{method} does not match {quantization}"
            if quantization is None:
                return "unquantized"
            if quantization not in self.classes:
                return f"Unknown quantization method: {quantization}"
            source = config
            elsewhere = quantization == "modelopt_mixed" and "quantized_layers" not in (
                config or {}
            )
            if config is None or elsewhere:
                source = other
                if (other or {}).get("producer", {}).get("name") != "modelopt":
                    return "Unsupported quantization config found"
            made = self.classes[quantization].from_config(source)
        except (ValueError, KeyError) as error:
            return str(error)
        lost = bool((config or {}).get("ignore")) and not getattr(made, "exclude_modules", None)
        return "ignore is lost" if lost else None

    def override(self, patched: dict[str, Any]) -> str | None:
        for owner in self.classes.values():
            hook = owner.override_quantization_method
            wants_config = "hf_config" in hook.__code__.co_varnames
            found: str | None = (
                hook(patched, None, hf_config=None) if wants_config else hook(patched, None)
            )
            if found is not None:
                return found
        return None


def is_reading(node: ast.stmt) -> bool:
    """The configuration classes and the constants they compare with."""
    match node:
        case ast.ClassDef(name=name):
            return name.startswith("ModelOpt") and name.endswith(("Config", "ConfigBase"))
        case ast.FunctionDef(name=name):
            return name == "algos_owned_by"
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return name.endswith("_ALGOS")
        case _:
            return False


def producer_patch(tree: Path) -> Callable[[SimpleNamespace], Any]:
    """The function that fills in quant_method, as one of the model's config."""
    for path in PATCHES:
        if not (tree / path).is_file():
            continue
        for node in ast.walk(ast.parse((tree / path).read_text())):
            if isinstance(node, ast.FunctionDef) and node.name in PATCH_NAMES:
                function = run([node], {})[node.name]
                if len(node.args.args) > 1:
                    return lambda hf_config, function=function: function(None, hf_config)  # type: ignore[misc]
                return lambda hf_config, function=function: function(  # type: ignore[misc]
                    SimpleNamespace(hf_config=hf_config)
                )
    raise AssertionError(f"no producer patch in {tree}")


@cache
def vllm(version: str) -> Vllm:
    return Vllm(version)


def described(config: Any, other: Any) -> Checkpoint:  # noqa: ANN401 -- JSON
    at = ("quantization_config",)
    first = parse_quantization(config, file="config.json", at=at, origin="c") if config else None
    second = (
        parse_quantization(other, file="hf_quant_config.json", at=(), origin="h") if other else None
    )
    shape = shape_of(first, second)
    form = format_of(first or second, shape)
    return Checkpoint("x", ModelConfig(), form, shape, first, second, Weights())


@pytest.mark.parametrize(
    "version", ["0.8.5", "0.10.1", "0.11.2", "0.14.0", "0.20.0", "0.28.0", "0.33.0"]
)
def test_every_exporter_row_is_judged_as_vllm_reads_it(version: str) -> None:
    reader = vllm(version)
    wrong: list[str] = []
    for row in ROWS:
        config, other = row["config_quantization_config"], row["hf_quant_config"]
        checkpoint = described(config, other)
        verdict = choose_verdict(checkpoint, reader.release)
        documents = {"config.json": {"quantization_config": config} if config else {}}
        if other:
            documents["hf_quant_config.json"] = other
        repaired = apply_changes(documents, verdict.changes)
        as_is = reader.trouble(config, other, None)
        with_argument = reader.trouble(config, other, verdict.quantization)
        after = reader.trouble(
            repaired["config.json"].get("quantization_config"),
            repaired.get("hf_quant_config.json"),
            verdict.quantization,
        )
        if checkpoint.format is Format.NONE and after == "unquantized":
            after = None  # which is what it is
        right = {
            VerdictWord.NATIVE: as_is is None,
            VerdictWord.ARGUMENT: as_is is not None and with_argument is None,
            VerdictWord.REPAIR: as_is is not None and after is None,
            VerdictWord.REFUSED: as_is is not None or unknown_layers(checkpoint, reader.release),
        }[verdict.verdict]
        if not right and not is_known_gap(version, row):
            label = f"{row['exporter_version']} {row['format']} {row['attn']} {row['kv']}"
            wrong.append(f"{label}: {verdict.verdict}, but {as_is} | {with_argument} | {after}")
    assert wrong == []


def unknown_layers(checkpoint: Checkpoint, release: Release) -> bool:
    """The configuration is read, and a layer's algorithm is then known to nobody."""
    known = release.modelopt.algorithms.value or ()
    return any(layer.algorithm.upper() not in known for layer in checkpoint.layers)


def is_known_gap(version: str, row: dict[str, Any]) -> bool:
    """0.8 wants NVFP4's kv_cache_quant_algo not only present but not null."""
    return version.startswith("0.8.") and "nvfp4" in str(row["format"]) and row["kv"] is None
