"""What a build folder compiled, and what those sources register with torch."""

from dataclasses import dataclass

from vllm_forge.records.binary import CodeKind


@dataclass(frozen=True, slots=True)
class CompiledSource:
    """One source of an extension, in the order in which the linker got them.

    `codes` is what nvcc was told to generate (`-gencode`): kind and architecture as in `GpuCode`;
    None for a source of another compiler. `limited_api` is Py_LIMITED_API's value where defined.
    """

    path: str
    codes: frozenset[tuple[CodeKind, str]] | None
    limited_api: str | None = None


@dataclass(frozen=True, slots=True)
class Registration:
    """One operator that a source defines or implements, `_C::rms_norm`.

    `certain` is False where an `#if` that cannot be decided from the outside encloses it.
    """

    operator: str
    source: str
    implements: bool
    certain: bool
