"""What a model directory says, and what a vLLM release makes of it.

Made by `vllm_forge.checkpoint` from JSON files and safetensors headers only; judged by
`vllm_forge.resolve.match`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from vllm_forge.records.decision import Reason


class Format(StrEnum):
    """How the weights are quantized; `facts.format` of `inspect`."""

    NONE = "none"
    FP8 = "fp8"
    FP8_PER_CHANNEL_PER_TOKEN = "fp8-per-channel-per-token"  # noqa: S105 -- tokens of text
    FP8_PB_WO = "fp8-pb-wo"
    NVFP4 = "nvfp4"
    W4A16_NVFP4 = "w4a16-nvfp4"
    MXFP8 = "mxfp8"
    MIXED = "mixed"
    INT4_AWQ = "int4-awq"
    W4A8_AWQ = "w4a8-awq"
    NVFP4_AWQ = "nvfp4-awq"
    INT8_SQ = "int8-sq"
    OTHER = "other"


class Shape(StrEnum):
    """Where the quantization metadata stands, as vLLM would come upon it."""

    FLAT = "flat"
    """config.json: `quantization_config` with `quant_algo` at its top level and `quant_method`."""
    FLAT_WITHOUT_METHOD = "flat-without-method"
    """The same without `quant_method` (ModelOpt 0.31 to 0.33)."""
    NESTED = "nested"
    """config.json: `quantization_config.quantization.quant_algo`."""
    HF_QUANT_CONFIG_ONLY = "hf-quant-config-only"
    """hf_quant_config.json, and no `quantization_config` in config.json."""
    SHADOWED = "shadowed"
    """hf_quant_config.json is ModelOpt's, but config.json has somebody else's, which wins."""
    NOT_MODELOPT = "not-modelopt"
    UNQUANTIZED = "unquantized"


@dataclass(frozen=True, slots=True)
class Tensor:
    """One entry of a safetensors header.

    `dtype` is the header's word (`F8_E4M3`, `BF16`…); `shape` counts stored elements, so a packed
    FP4 weight of N x K is U8 [N, K/2]. `start` and `stop` are byte offsets in `file`.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Shard:
    """A safetensors file: its bytes, and those its header promises; they differ when damaged."""

    file: str
    size: int
    promised_size: int
    tensors: int


@dataclass(frozen=True, slots=True)
class Weights:
    """Every shard's header, and what the index says beside it.

    `index` is tensor → file as in model.safetensors.index.json, None without one. `missing` are
    files the index or the `-of-` numbering of the others asks for; `unlisted` lie beside the
    index without being in it, and are not read.
    """

    shards: tuple[Shard, ...] = ()
    tensors: tuple[Tensor, ...] = ()
    index: dict[str, str] | None = None
    missing: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LayerAlgorithm:
    """One entry of `quantized_layers`; `group_size` counts weights along the input."""

    name: str
    algorithm: str
    group_size: int | None = None


@dataclass(frozen=True, slots=True)
class QuantizationDocument:
    """One place that describes the quantization.

    `algorithm` and `kv_cache` are as written (`fp8_pb_wo` stays lower case); a KV scheme written
    as a dict is named by what it means (float, 8 bits: `FP8`). `excluded` is None when no key
    lists excluded modules; `excluded_key` is that key. `layers` is None without a
    `quantized_layers` key. `weights_only`: there are config_groups, and none quantizes
    activations. `at` is the key path of the object in `file`; `keys` are the keys beside the
    algorithm (those of the inner object when `nested`).
    """

    file: str
    at: tuple[str, ...]
    nested: bool
    method: str | None
    algorithm: str | None
    producer_name: str | None
    producer_version: str | None
    library: str | None
    group_size: int | None
    kv_cache: str | None
    excluded: tuple[str, ...] | None
    excluded_key: str | None
    layers: tuple[LayerAlgorithm, ...] | None
    weights_only: bool
    keys: tuple[str, ...]

    @property
    def is_modelopt(self) -> bool:
        """ModelOpt wrote it: it says so, or has the algorithm key that only ModelOpt writes."""
        return (
            self.algorithm is not None
            or (self.method or "").lower().startswith("modelopt")
            or "modelopt" in {self.producer_name, self.library}
        )


@dataclass(frozen=True, slots=True)
class Dimensions:
    """What tensor parallelism divides; None where config.json does not say."""

    hidden_size: int | None = None
    intermediate_size: int | None = None
    attention_heads: int | None = None
    key_value_heads: int | None = None
    experts: int | None = None
    vocabulary: int | None = None


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What config.json says beside the quantization.

    `remote_code` are the Python files in the folder that `trust_remote_code` would run, with the
    references (`auto_map`) that lead out of the folder as `REPO--FILE.py`.
    """

    architectures: tuple[str, ...] = ()
    model_type: str | None = None
    dtype: str | None = None
    tied_embeddings: bool = False
    dimensions: Dimensions = Dimensions()
    remote_code: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model directory. `tokenizer` and `generation_config` are the files found, if any."""

    path: str
    model: ModelConfig
    format: Format
    shape: Shape
    config: QuantizationDocument | None
    """`quantization_config` of config.json."""
    hf_quant_config: QuantizationDocument | None
    weights: Weights
    observed: tuple[str, ...] = ()
    """Algorithms whose tensor layouts the headers show; empty without weights."""
    tokenizer: tuple[str, ...] = ()
    generation_config: str | None = None

    @property
    def document(self) -> QuantizationDocument | None:
        """ModelOpt's metadata as the checkpoint means it: config.json's, else the other file's."""
        if self.shape in {Shape.HF_QUANT_CONFIG_ONLY, Shape.SHADOWED}:
            return self.hf_quant_config
        return self.config

    @property
    def layers(self) -> tuple[LayerAlgorithm, ...]:
        """`quantized_layers` of config.json, else of hf_quant_config.json."""
        for document in (self.document, self.hf_quant_config):
            if document is not None and document.layers:
                return document.layers
        return ()


@dataclass(frozen=True, slots=True)
class CheckpointFacts:
    """`facts` of `inspect` for a checkpoint: what a person asks first.

    `parameters` counts weights as the model sees them (two to a byte when packed), scales left
    out; `layers` counts quantized layers by algorithm in a mixed checkpoint.
    """

    path: str
    format: Format
    shape: Shape
    algorithm: str | None
    producer: str | None
    producer_version: str | None
    quant_method: str | None
    group_size: int | None
    kv_cache: str | None
    excluded: tuple[str, ...]
    layers: dict[str, int]
    architectures: tuple[str, ...]
    model_type: str | None
    dtype: str | None
    parameters: int | None
    weight_bytes: int
    dtypes: dict[str, int]
    shards: int
    tokenizer: tuple[str, ...]
    generation_config: str | None
    remote_code: tuple[str, ...]


class VerdictWord(StrEnum):
    NATIVE = "native"
    """Loads as it is."""
    ARGUMENT = "argument"
    """Loads only with that `quantization=`."""
    REPAIR = "repair"
    """Loads after `repair`."""
    EMULATED = "emulated"
    """Loads; this GPU runs it weight-only, through Marlin."""
    REFUSED = "refused"


class Act(StrEnum):
    SET = "set"
    COPY = "copy"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Change:
    """One correction of a JSON file, `at` that key path; an empty path is the file itself.

    `value` goes with `set`; `copy` takes what stands `source_at` in `source_file`, when the change
    is made. A copy of a file onto a key path leaves nothing of the original behind.
    """

    file: str
    at: tuple[str, ...]
    act: Act
    because: str
    value: Any = None
    source_file: str | None = None
    source_at: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one release makes of a checkpoint, on one GPU when its capability was given.

    `quantization` is the argument to pass, None where none is needed. `kernels` is `native` or
    `fallback` on that GPU, None without one. `changes` are those of a `repair`; when the two
    metadata files contradict each other there are none, and `contradictions` says how: the user
    has to say which file is right.
    """

    version: str
    verdict: VerdictWord
    quantization: str | None
    because: tuple[Reason, ...]
    kernels: str | None = None
    changes: tuple[Change, ...] = ()
    contradictions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DequantizedTensor:
    """A weight that `dequantize` unpacked: BF16 now, `shape` as the model sees it, in `file`."""

    name: str
    algorithm: str
    shape: tuple[int, ...]
    file: str
