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
class FetchedProject:
    """A project that CMake fetches while configuring (FetchContent), unless overridden.

    `name` as declared; FetchContent keeps it in `NAME-src`. `override` is the environment variable
    that makes a local folder take its place. `submodules` as stated: None means all of them.
    """

    name: str
    url: str
    revision: str
    override: str | None
    submodules: tuple[str, ...] | None
    devices: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class EnvironmentVariable:
    """One variable that setup.py or CMake reads, and every place that reads it."""

    name: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuntimeGate:
    """On which GPUs Python dispatches to what a target holds.

    `subject` is a CMake target (`_vllm_fa3_C`) or a kernel group's variable (`MACHETE_ARCHS`).
    `capabilities` are exact (`9.0`), a major (`9.x`) or a floor (`>=9.0`). Their source is the line
    that decides and `said` its text; where unknown, the source says where it was looked for.
    `override` names the setting by which a user can pass the gate.
    """

    subject: str
    capabilities: Sourced[tuple[str, ...]]
    said: str
    override: str | None = None


@dataclass(frozen=True, slots=True)
class KernelGroup:
    """One `cuda_archs_loose_intersection`: which of `wanted` is compiled for what was requested.

    `name` is the CMake variable; one name may be used several times, in this order. No
    `architectures`: none of the group's kernels is compiled.
    """

    name: str
    wanted: tuple[str, ...]
    architectures: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class ConfiguredTarget:
    """One CMake target of one configuration.

    `sources` are relative to the tree; those of a fetched project begin with `NAME-src/`. Where
    not every file can be known from the tree, `incomplete` says why and `sources` are those that
    can. `codes` are what nvcc is asked to produce: `sm_89`, `compute_80` (PTX).
    """

    name: str
    sources: tuple[str, ...]
    codes: tuple[str, ...]
    source: str
    asked: bool | None = None
    """Whether setup.py asks for it; None where its condition is not understood."""
    incomplete: str | None = None


@dataclass(frozen=True, slots=True)
class Configured:
    """What CMake's configure would decide for one device, nvcc version and architecture list.

    `architectures` is CUDA_ARCHS: what is left of `requested` after `supported`. Empty with
    `stopped` None is the silent case of 0.9 to 0.26: configure succeeds and nothing is compiled
    for the GPU. `stopped` is the FATAL_ERROR that ends configure, with its place.
    """

    device: str
    nvcc: str | None
    requested: tuple[str, ...]
    supported: Sourced[tuple[str, ...]]
    architectures: tuple[str, ...]
    stopped: Sourced[str]
    warnings: tuple[str, ...]
    groups: tuple[KernelGroup, ...]
    targets: tuple[ConfiguredTarget, ...]


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
    """Oldest g++ that CMakeLists.txt accepts for a CUDA build."""
    cmake_floor: Sourced[str] = field(default_factory=lambda: Sourced(None, "not looked for"))
    cpu_gcc_floor: Sourced[str] = field(default_factory=lambda: Sourced(None, "not looked for"))
    rust_floor: Sourced[str] = field(default_factory=lambda: Sourced(None, "not looked for"))
    """Toolchain of rust-toolchain.toml or `rust-version`; the frontend is left out without it."""
    setuptools: Sourced[str] = field(default_factory=lambda: Sourced(None, "not looked for"))
    """PEP 440 specifier of pyproject's build-system."""
    main_cuda: Sourced[str] = field(default_factory=lambda: Sourced(None, "not looked for"))
    """MAIN_CUDA_VERSION: another nvcc puts `+cuXYZ` into the version that is built."""
    build_environment: dict[str, tuple[RequirementLine, ...]] = field(default_factory=dict)
    """device → what its build needs installed when nothing is isolated."""
    environment: tuple[EnvironmentVariable, ...] = ()
    projects: tuple[FetchedProject, ...] = ()
    gates: tuple[RuntimeGate, ...] = ()
