"""What a vLLM source tree says. Made by `vllm_forge.release`, statically, without importing it."""

from dataclasses import dataclass, field

from vllm_forge.records.sourced import Sourced


@dataclass(frozen=True, slots=True)
class TorchPin:
    """One place that says which torch.

    `role` is `build` (pyproject's build-system), `cuda`, `cpu`, `rocm`… (requirements/ROLE.txt) or
    `cmake` (TORCH_SUPPORTED_VERSION_CUDA). `specifier` is PEP 440 (`==2.7.1`), local version kept
    (`==2.6.0+cpu`); `marker` the PEP 508 environment marker, if any.
    """

    role: str
    specifier: str
    source: str
    marker: str | None = None


@dataclass(frozen=True, slots=True)
class RequirementLine:
    """One PEP 508 requirement of one device, `-r` includes followed, options dropped."""

    requirement: str
    source: str


@dataclass(frozen=True, slots=True)
class ExtensionTarget:
    """One CMake target that setup.py asks for.

    `module` is the dotted extension name (`vllm._C`), `name` the CMake target (`_C`). `condition`
    is the source text of the enclosing `if` tests, outermost first, empty when unconditional.
    """

    name: str
    module: str
    optional: bool
    condition: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class QuantizationMethod:
    """One name of the registry. `config_class` and the rest are unknown where not found."""

    name: str
    config_class: Sourced[str]
    min_capability: Sourced[int]
    source: str


@dataclass(frozen=True, slots=True)
class ModelOptReading:
    """How a tree reads NVIDIA ModelOpt checkpoints; every field may be unknown.

    *flat* is `quantization_config` in config.json with `quant_algo` at its top level; *nested* is
    the hf_quant_config.json form, `{"producer": …, "quantization": {"quant_algo": …}}`.
    """

    algorithms: Sourced[tuple[str, ...]]
    """QUANT_ALGOS as written in the tree."""
    nested_algorithms: Sourced[tuple[str, ...]]
    """Algorithms for which a nested config gets its quant_method filled in automatically."""
    upper_cases_algorithm: Sourced[bool]
    """False: `fp8_pb_wo` is compared as written and does not match `FP8_PB_WO`."""
    reads_hf_quant_config: Sourced[bool]
    """The model config takes hf_quant_config.json by itself when config.json has no config."""
    accepts_flat: Sourced[bool]
    """`from_config` understands the flat form (0.8 and 0.9 demand the `quantization` key)."""
    reads_ignore: Sourced[bool]
    """The flat form's `ignore` is honoured (0.10.1 reads only `exclude_modules`: it is lost)."""
    overrides_method: Sourced[bool]
    """An override hook exists: `quant_method: modelopt` with an FP4 algorithm → modelopt_fp4."""
    empty_method: Sourced[str]
    """A flat config without quant_method: `unknown-method` (error) or `unquantized` (silently)."""
    mixed_reads_hf_quant_config: Sourced[bool]
    """A mixed config without `quantized_layers` falls through to hf_quant_config.json."""
    nested_required_keys: Sourced[tuple[str, ...]]
    """Keys an NVFP4 nested config must have, else ValueError."""


@dataclass(frozen=True, slots=True)
class Release:
    """Facts of one tree; `Sourced.value is None` is *unknown*."""

    version: Sourced[str]
    python: Sourced[str]
    """PEP 440 specifier: pyproject's requires-python met with CMake's supported versions."""
    torch: tuple[TorchPin, ...]
    build_requirements: tuple[RequirementLine, ...]
    requirements: dict[str, tuple[RequirementLine, ...]]
    """device (`cpu`, `cuda`, …) → what `requirements/DEVICE.txt` asks for."""
    targets: tuple[ExtensionTarget, ...]
    quantization: tuple[QuantizationMethod, ...]
    modelopt: ModelOptReading
    gcc_floor: Sourced[str] = field(default_factory=lambda: Sourced(None, "not looked for"))
    cmake_floor: Sourced[str] = field(default_factory=lambda: Sourced(None, "not looked for"))
