"""What the user asked for; every field's docstring is its documentation in `--help`."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Device(StrEnum):
    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Strategy(StrEnum):
    AUTO = "auto"
    FULL = "full"
    PRECOMPILED = "precompiled"
    HYBRID = "hybrid"


class Isa(StrEnum):
    AUTO = "auto"
    AVX2 = "avx2"
    AVX512 = "avx512"


class CompilerCache(StrEnum):
    AUTO = "auto"
    CCACHE = "ccache"
    SCCACHE = "sccache"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """Shared by plan, build and up. None and `auto` mean: choose, and say why."""

    vllm: str | None = None
    """VERSION, latest, PATH of a source tree, or git+URL@REF; else what loads the checkpoint."""
    device: Device = Device.AUTO
    """What the build is for."""
    cuda: str | None = None
    """CUDA toolkit version to compile with, as 12.4."""
    torch: str | None = None
    """torch version, as 2.7.1."""
    torch_from: str | None = None
    """Interpreter (path, or name on PATH) whose torch and other packages are used as they are."""
    python: str | None = None
    """Python version, as 3.11, or the path of an interpreter."""
    gpu_arch: str = "auto"
    """Compute capabilities to compile for, as 8.9,9.0."""
    checkpoint: Path | None = None
    """A model directory that the build has to run."""
    specialize: Path | None = None
    """Leave out the kernels that this checkpoint cannot reach; the build runs no other kind."""
    strategy: Strategy = Strategy.AUTO
    """Compile everything, take the release wheel's extensions, or some of each."""
    isa: Isa = Isa.AUTO
    """CPU target only: which vector instructions to compile for."""
    jobs: int | None = None
    """At most this many compilers at once."""
    memory: str | None = None
    """At most this much memory for compilers, as 12GiB."""
    compiler_cache: CompilerCache = CompilerCache.AUTO
    """What answers for compiles done before: ccache, sccache or none."""
    env: Path | None = None
    """Folder of the virtual environment; chosen under the home where not given."""
    targets: tuple[str, ...] = ()
    """Build these CMake targets only, as _C,_moe_C; else all that these GPUs run."""
    reuse: tuple[str, ...] = ()
    """Take these CMake targets out of the release's wheel, as _vllm_fa2_C, and compile the rest."""
    project: tuple[str, ...] = ()
    """NAME=DIR: a folder with a project that CMake would fetch, as cutlass=/src/cutlass."""
    git_mirror: str | None = None
    """URL that takes the place of the scheme and host of every fetched project."""
    store: str | None = None
    """Folders or URLs to share compiled extensions through, after the home's own; or none."""
    without: tuple[str, ...] = ()
    """Requirements of the tree to leave out, by name; what needs them in vLLM will not work."""
    find_links: tuple[Path, ...] = ()
    """Folders of wheels and sdists to take packages from, besides the index."""
    offline: bool = False
    """Use nothing but what is already here."""
