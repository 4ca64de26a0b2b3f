"""Verdicts: every recorded checkpoint, every row of ModelOpt's exporter, every GPU generation."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vllm_forge.checkpoint.quantization import format_of, parse_quantization, shape_of
from vllm_forge.checkpoint.read import read_checkpoint
from vllm_forge.records.checkpoint import (
    Checkpoint,
    Format,
    ModelConfig,
    Verdict,
    VerdictWord,
    Weights,
)
from vllm_forge.records.release import Release
from vllm_forge.records.sourced import Sourced
from vllm_forge.resolve.match import choose_verdict

Known = Callable[[str], Release]

DATA = Path(__file__).parents[2] / "data" / "checkpoints"
PUBLISHED = sorted(path.parent for path in DATA.glob("published/*/expected.json"))
RECORDED = [
    (folder, version, verdict)
    for folder in PUBLISHED
    for version, verdict in json.loads((folder / "expected.json").read_text())["verdicts"].items()
]


def described(config: object | None, hf: object | None) -> Checkpoint:
    """A checkpoint of metadata alone, from the two JSON values."""
    first = (
        parse_quantization(
            config, file="config.json", at=("quantization_config",), origin="config.json"
        )
        if isinstance(config, dict)
        else None
    )
    second = (
        parse_quantization(hf, file="hf_quant_config.json", at=(), origin="hf_quant_config.json")
        if isinstance(hf, dict)
        else None
    )
    shape = shape_of(first, second)
    return Checkpoint(
        path="checkpoint",
        model=ModelConfig(architectures=("LlamaForCausalLM",)),
        format=format_of(first or second, shape),
        shape=shape,
        config=first,
        hf_quant_config=second,
        weights=Weights(),
    )


def flat(algorithm: str, **more: object) -> Checkpoint:
    """ModelOpt 0.35 and later."""
    producer = {"name": "modelopt", "version": "0.46.0"}
    return described(
        {"quant_method": "modelopt", "quant_algo": algorithm, "producer": producer, **more}, None
    )


def hf_only(algorithm: str, **more: object) -> Checkpoint:
    """ModelOpt 0.23 to 0.29."""
    quantization = {
        "quant_algo": algorithm,
        "kv_cache_quant_algo": "FP8",
        "group_size": 16,
        "exclude_modules": ["lm_head"],
        **more,
    }
    producer = {"name": "modelopt", "version": "0.29.0"}
    return described(None, {"producer": producer, "quantization": quantization})


def short(verdict: Verdict) -> str:
    """`argument modelopt`, `native`."""
    return f"{verdict.verdict} {verdict.quantization or ''}".strip()


@pytest.mark.parametrize(
    ("folder", "version", "expected"),
    RECORDED,
    ids=[f"{folder.name}-{version}" for folder, version, _ in RECORDED],
)
def test_recorded_verdicts(folder: Path, version: str, expected: str, known_release: Known) -> None:
    verdict = choose_verdict(read_checkpoint(folder), known_release(version))
    assert verdict.verdict == expected, verdict.because
    assert verdict.quantization is None


VERSIONS = ("0.8.5", "0.10.1", "0.11.2", "0.14.0", "0.20.0", "0.28.0", "0.33.0")

MATRIX = {
    "flat FP8": (
        flat("FP8", ignore=[]),
        "repair modelopt; native; native; native; native; native; native",
    ),
    "flat FP8 with ignore": (
        flat("FP8", ignore=["lm_head"]),
        "repair modelopt; repair; native; native; native; native; native",
    ),
    "flat NVFP4": (
        flat("NVFP4", ignore=["lm_head"]),
        "repair nvfp4; repair; native; native; native; native; native",
    ),
    "flat fp8_pb_wo": (
        flat("fp8_pb_wo", ignore=["lm_head"]),
        "refused; refused; refused; native; native; native; native",
    ),
    "flat FP8_PER_CHANNEL_PER_TOKEN": (
        flat("FP8_PER_CHANNEL_PER_TOKEN"),
        "refused; refused; refused; native; native; native; native",
    ),
    "flat MXFP8": (
        flat("MXFP8"),
        "refused; refused; refused; refused; native; native; native",
    ),
    "flat W4A16_NVFP4": (
        flat("W4A16_NVFP4"),
        "refused; refused; refused; refused; refused; native; native",
    ),
    "flat nvfp4_static": (
        flat("nvfp4_static", ignore=["lm_head"]),
        "repair nvfp4; repair; repair; repair; repair; repair; repair",
    ),
    "flat W4A16_AWQ": (
        flat("W4A16_AWQ"),
        "refused; refused; refused; refused; refused; refused; refused",
    ),
    "flat NVFP4_AWQ": (
        flat("NVFP4_AWQ"),
        "refused; refused; refused; refused; refused; refused; refused",
    ),
    "flat mixed": (
        flat("MIXED_PRECISION", quantized_layers={"a.q_proj": {"quant_algo": "FP8"}}),
        "refused; refused; refused; refused; native; native; native",
    ),
    "flat mixed, no map": (
        flat("MIXED_PRECISION"),
        "refused; refused; refused; refused; refused; refused; refused",
    ),
    "without method": (
        described({"quant_algo": "FP8", "quant_library": "modelopt", "ignore": ["lm_head"]}, None),
        "repair modelopt; repair; repair; repair; repair; repair; repair",
    ),
    "hf only FP8": (
        hf_only("FP8"),
        "argument modelopt; native; native; native; native; native; native",
    ),
    "hf only NVFP4": (
        hf_only("NVFP4"),
        "argument nvfp4; native; native; native; native; native; native",
    ),
    "hf only fp8_pb_wo": (
        hf_only("fp8_pb_wo"),
        "refused; refused; refused; native; native; native; native",
    ),
    "hf only MXFP8": (
        hf_only("MXFP8"),
        "refused; refused; refused; refused; repair; repair; repair",
    ),
    "hf only mixed": (
        hf_only("MIXED_PRECISION", quantized_layers={"a.q_proj": {"quant_algo": "FP8"}}),
        "refused; refused; refused; refused; repair; repair; native",
    ),
    "hf only, no producer": (
        described(None, {"quantization": {"quant_algo": "FP8", "exclude_modules": []}}),
        "argument modelopt; repair; repair; repair; repair; repair; repair",
    ),
    "nested in config.json": (
        described(
            {
                "quant_method": "modelopt",
                "quantization": {"quant_algo": "MXFP8", "exclude_modules": []},
            },
            None,
        ),
        "refused; refused; refused; refused; native; native; native",
    ),
    "KV cache alone": (
        flat("", kv_cache_scheme={"type": "float", "num_bits": 8}),
        "repair; repair; repair; repair; repair; repair; repair",
    ),
}
"""facts/vllm.md 2.5 and facts/checkpoints.md 5.1, a row of VERSIONS for each form."""


@pytest.mark.parametrize("row", MATRIX)
def test_matrix(row: str, known_release: Known) -> None:
    checkpoint, expected = MATRIX[row]
    found = [short(choose_verdict(checkpoint, known_release(version))) for version in VERSIONS]
    assert "; ".join(found) == expected


@pytest.mark.parametrize(
    ("algorithm", "version", "capability", "expected"),
    [
        ("FP8", "0.10.1", "8.9", "native native"),
        ("FP8", "0.10.1", "8.6", "refused None"),
        ("FP8", "0.28.0", "8.6", "emulated fallback"),
        ("FP8", "0.28.0", "7.5", "refused None"),
        ("NVFP4", "0.10.1", "10.0", "native native"),
        ("NVFP4", "0.10.1", "12.0", "native native"),
        ("NVFP4", "0.10.1", "8.9", "emulated fallback"),
        ("NVFP4", "0.10.1", "9.0", "emulated fallback"),
        ("NVFP4", "0.10.1", "7.5", "refused None"),
        ("NVFP4", "0.14.0", "7.5", "emulated fallback"),
        ("MXFP8", "0.20.0", "9.0", "emulated fallback"),
        ("MXFP8", "0.20.0", "10.3", "native native"),
        ("W4A16_NVFP4", "0.28.0", "8.9", "native native"),
    ],
)
def test_gpus(
    algorithm: str, version: str, capability: str, expected: str, known_release: Known
) -> None:
    verdict = choose_verdict(
        flat(algorithm, exclude_modules=["lm_head"]), known_release(version), capability
    )
    assert f"{verdict.verdict} {verdict.kernels}" == expected
    assert any("get_min" in why.source or "modelopt.py" in why.source for why in verdict.because)


def test_nvfp4_of_0_8_needs_a_blackwell(known_release: Known) -> None:
    verdict = choose_verdict(hf_only("NVFP4"), known_release("0.8.5"), "9.0")
    assert verdict.verdict is VerdictWord.REFUSED
    assert verdict.because[0].fact == "nvfp4 asks for compute capability 10.0"


def test_a_mixed_checkpoint_is_emulated_when_one_of_its_algorithms_is(known_release: Known) -> None:
    mixed = flat(
        "MIXED_PRECISION",
        quantized_layers={"a.q_proj": {"quant_algo": "FP8"}, "a.up_proj": {"quant_algo": "NVFP4"}},
    )
    verdict = choose_verdict(mixed, known_release("0.33.0"), "9.0")
    assert verdict.verdict is VerdictWord.EMULATED
    assert next(why.fact for why in verdict.because if "Marlin" in why.fact).startswith(
        "tensor cores compute NVFP4 from 10.0 on"
    )


def test_a_layer_of_an_unknown_algorithm_refuses_a_mixed_checkpoint(known_release: Known) -> None:
    mixed = flat("MIXED_PRECISION", quantized_layers={"a": {"quant_algo": "W4A16_NVFP4"}})
    verdict = choose_verdict(mixed, known_release("0.20.0"))
    assert verdict.verdict is VerdictWord.REFUSED
    assert "layers are W4A16_NVFP4" in verdict.because[0].fact


def test_an_unknown_fact_refuses_and_says_where_it_was_looked_for(known_release: Known) -> None:
    release = known_release("0.33.0")
    unknown = replace(
        release,
        modelopt=replace(release.modelopt, algorithms=Sourced(None, "looked in modelopt.py")),
    )
    verdict = choose_verdict(flat("FP8"), unknown)
    assert verdict.verdict is VerdictWord.REFUSED
    assert verdict.because[0].source == "looked in modelopt.py"


def test_plain_weights_load_everywhere(known_release: Known) -> None:
    assert short(choose_verdict(described(None, None), known_release("0.8.5"))) == "native"


@pytest.mark.parametrize(("version", "expected"), [("0.14.0", "refused"), ("0.20.0", "native")])
def test_another_reader_is_one_named_after_the_model(
    version: str, expected: str, known_release: Known
) -> None:
    folder = DATA / "published" / "nvidia--DeepSeek-V4-Flash-NVFP4"
    assert short(choose_verdict(read_checkpoint(folder), known_release(version))) == expected


def exporter_rows() -> list[dict[str, object]]:
    return [
        json.loads(line) for line in (DATA / "exporter-by-version.jsonl").read_text().splitlines()
    ]


FORMATS = {
    "fp8": Format.FP8,
    "fp8_pc_pt": Format.FP8_PER_CHANNEL_PER_TOKEN,
    "fp8_pb_wo": Format.FP8_PB_WO,
    "nvfp4": Format.NVFP4,
    "w4a16_nvfp4": Format.W4A16_NVFP4,
    "mxfp8": Format.MXFP8,
    "int4_awq": Format.INT4_AWQ,
    "w4a8_awq": Format.W4A8_AWQ,
    "nvfp4_awq": Format.NVFP4_AWQ,
    "int8_sq": Format.INT8_SQ,
    None: Format.NONE,
}


@pytest.mark.parametrize(
    "row", exporter_rows(), ids=lambda row: f"{row['exporter_version']}-{row['format']}"
)
def test_what_every_exporter_writes_is_named(row: dict[str, object], known_release: Known) -> None:
    checkpoint = described(row["config_quantization_config"], row["hf_quant_config"])
    uniform = row["attn"] == "same" or row["attn"] == [None, 0]
    expected = FORMATS.get(str(row["format"]) if row["format"] else None, Format.OTHER)
    if row["format"] in FORMATS:
        assert checkpoint.format is (expected if uniform else Format.MIXED)
    verdict = choose_verdict(checkpoint, known_release("0.33.0"))
    loads = {"fp8", "fp8_pc_pt", "fp8_pb_wo", "nvfp4", "w4a16_nvfp4", "mxfp8", "nvfp4_static", None}
    if uniform:
        assert (verdict.verdict is not VerdictWord.REFUSED) == (row["format"] in loads)
