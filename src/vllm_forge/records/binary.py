"""What a compiled extension says about itself, read without loading it."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class UndefinedSymbol:
    """A name that the loader has to find elsewhere; `name` is mangled.

    `version` and `library` come from the version-needs table (`GLIBC_2.34` of `libc.so.6`), None
    where the symbol has no version. A `weak` one may stay unfound.
    """

    name: str
    version: str | None = None
    library: str | None = None
    weak: bool = False


@dataclass(frozen=True, slots=True)
class Extension:
    """One shared object.

    `machine` is spelled as `uname -m` does. `module` is the name after `PyInit_`, None for a
    library that Python cannot import. `abi3` is what the file name says. `floors` maps each family
    of system symbol versions to the newest one asked for: `{"GLIBC": "2.34", "GLIBCXX": "3.4.30"}`.
    """

    path: str
    machine: str
    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]
    undefined: tuple[UndefinedSymbol, ...]
    module: str | None
    abi3: bool
    floors: dict[str, str]


class CxxAbi(StrEnum):
    """libstdc++'s two layouts of std::string; the value of _GLIBCXX_USE_CXX11_ABI names them."""

    OLD = "0"
    NEW = "1"


class Mismatch(StrEnum):
    """Why a symbol is not there: what the libraries export instead of it."""

    OTHER_ABI = "other-abi"
    """The same function under the other C++ ABI."""
    OTHER_SIGNATURE = "other-signature"
    """The same name with other parameters or qualifiers: another version of the library."""
    ABSENT = "absent"
    """Nothing of that name."""


@dataclass(frozen=True, slots=True)
class Unresolved:
    """`readable` is the demangled name, the mangled one where no demangler is present.

    `exported` is what the libraries have under the same qualified name, likewise readable.
    """

    name: str
    readable: str
    mismatch: Mismatch
    exported: tuple[str, ...] = ()


class CodeKind(StrEnum):
    ELF = "elf"
    """A cubin: machine code (SASS) for one architecture."""
    PTX = "ptx"
    """Portable assembly, compiled by the driver when it is loaded."""
    NVVM = "nvvm"
    """Intermediate code for link-time optimization; no GPU runs it as it is."""
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class GpuCode:
    """One entry of a fat binary.

    `architecture` is spelled as after `sm_`/`compute_`: `89`, `90a` (exactly this GPU), `100f`
    (its family). `container` numbers the fat binary within the file: one for each compiled source.
    `size` is bytes as stored, `compression` `lz4`, `zstd` or None. `kernels` are mangled names,
    None where they were not looked for or cannot be read.
    """

    kind: CodeKind
    architecture: str
    container: int
    size: int
    bits: int
    compression: str | None = None
    debug: bool = False
    kernels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator that an extension registers with torch when it is loaded.

    `namespace` is that of `torch.ops.NAMESPACE.NAME`, None where the file has lost the names of
    its functions (stripped). `schema` is None where only an implementation is registered here.
    `implementation` is the dispatch key of a separately registered implementation (`CUDA`), ``*``
    where one is registered and its key cannot be read, None where none was seen: the definition may
    carry it.
    """

    namespace: str | None
    name: str
    schema: str | None
    implementation: str | None


class TorchAbi(StrEnum):
    """How closely an extension is bound to a torch release."""

    NONE = "none"
    """It uses nothing of torch."""
    STABLE = "stable"
    """Only the C functions that torch keeps stable (`aoti_torch_…`, `torch_…`)."""
    CXX = "c++"
    """C++ symbols: it fits the torch release it was compiled against."""


@dataclass(frozen=True, slots=True)
class BinaryFacts:
    """What `inspect` tells of one shared object.

    `name` is its path, or its member name in a wheel. `cxx_abi` is None where no symbol that it
    asks of torch has a std::string. `architectures` and `ptx` are spelled `sm_90a`, `compute_90`;
    `sources` counts the compiled sources with GPU code, `covered` how many of them have machine
    code of each architecture.
    """

    name: str
    size: int
    machine: str
    module: str | None
    abi3: bool
    torch_abi: TorchAbi
    cxx_abi: CxxAbi | None
    torch_symbols: int
    needed: tuple[str, ...]
    floors: dict[str, str]
    architectures: tuple[str, ...]
    ptx: tuple[str, ...]
    sources: int
    covered: dict[str, int]
    operators: tuple[Operator, ...]


@dataclass(frozen=True, slots=True)
class WheelFacts:
    """What `inspect` tells of a wheel. `requires_torch` is its own requirement, `torch==2.7.1`."""

    name: str
    version: str
    tags: tuple[str, ...]
    requires_torch: str | None
    extensions: tuple[BinaryFacts, ...]
