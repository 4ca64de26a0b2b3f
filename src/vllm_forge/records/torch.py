"""What is known of a torch release, and what a tree misses in it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MissingName:
    """A name the sources use and a torch does not have (`at::Half`, or `<ATen/ATen.h>`).

    `files` are the sources that cannot be compiled because of it, relative to the tree.
    """

    name: str
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TorchRelease:
    """One torch on the package index; unknown where its metadata does not say.

    `pythons` are interpreter tags (`cp311`), `platforms` those of its wheels, `variants` the local
    versions that the index offers (`cu128`; "" for the plain one). `cuda` is the CUDA the plain
    Linux x86-64 wheel carries (`12.6`), `cxx11_abi` whether it uses the new C++ ABI, `requires`
    what it requires, markers kept; `source` is that wheel.
    """

    version: str
    requires_python: str | None
    pythons: tuple[str, ...]
    platforms: tuple[str, ...]
    variants: tuple[str, ...]
    cuda: str | None
    cxx11_abi: bool | None
    requires: tuple[str, ...]
    source: str
