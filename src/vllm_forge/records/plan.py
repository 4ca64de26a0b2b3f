"""What would be done and why: `--dry-run` prints this value, `build` executes it."""

from dataclasses import dataclass, field
from typing import Any, Literal

from vllm_forge.records.decision import Reason, Refused
from vllm_forge.records.lent import Lent
from vllm_forge.records.project import PlannedProject, Ways
from vllm_forge.records.reuse import WheelMember
from vllm_forge.records.specialization import LeftOut, Specialization


@dataclass(frozen=True, slots=True)
class SystemPackages:
    """Distribution packages whose files are unpacked under the forge's home, never installed.

    `needs` says for each what it is for. With `install` they are installed by the distribution's
    package manager instead (only on the user's word).
    """

    packages: tuple[str, ...]
    needs: tuple[str, ...]
    into: str
    install: bool = False


@dataclass(frozen=True, slots=True)
class MakeToolkit:
    """A CUDA toolkit that is not here, made at `path` without root. `nvcc` as 12.4.131."""

    provider: str
    nvcc: str
    path: str
    origin: str


@dataclass(frozen=True, slots=True)
class Projects:
    """The sources of the projects that CMake would fetch, by `ways`; stubs of those not needed."""

    planned: tuple[PlannedProject, ...]
    ways: Ways


@dataclass(frozen=True, slots=True)
class Source:
    """Where the tree comes from. `version` for an sdist, `url` and `ref` for git.

    A `tree` is the user's own folder, used in place: `path` is that folder; otherwise it is the
    folder that is made.
    """

    origin: Literal["sdist", "tree", "git"]
    path: str
    version: str | None = None
    url: str | None = None
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment with torch proven in it."""

    path: str
    python: str
    torch: str
    torch_cuda: str | None
    """What `torch.version.cuda` has to be; None: not known before, recorded after."""
    lent: Lent | None = None
    """The interpreter whose packages it shows, torch among them; None: torch is installed."""


@dataclass(frozen=True, slots=True)
class Requirements:
    """The tree's requirements for `device`, without what would swap torch.

    `lines` are PEP 508, `dropped` those left out with the reason. Unbounded ones are resolved as
    of the day the release was published (`as_of_release`), the day they were tested together.
    """

    environment: str
    lines: tuple[str, ...]
    build_lines: tuple[str, ...]
    """What the tree's build system asks for; installed, and no requirement of the package."""
    dropped: tuple[str, ...]
    as_of_release: bool = True
    locked: str | None = None
    """A lock's packages with their hashes; then nothing is resolved."""
    lent: Lent | None = None
    """The interpreter whose packages are taken where they satisfy."""


HOOK = "CMAKE_PROJECT_INCLUDE"
"""CMake's own: a file that is included after each project()."""
LEAVING_OUT = "CMAKE_PROJECT_TOP_LEVEL_INCLUDES"
"""CMake's own: files that are included at the first project()."""
MENDED = "VLLM_FORGE_ARCHITECTURES"
"""What that file replaces in nvcc's options: `87=80`."""


@dataclass(frozen=True, slots=True)
class Specialize:
    """The files, written into `folder`, by which CMake leaves out what one checkpoint needs not."""

    folder: str
    specialization: Specialization


@dataclass(frozen=True, slots=True)
class Configure:
    """One CMake configure run. `definitions` are -D values, `variables` environment variables."""

    source: str
    build: str
    definitions: dict[str, str]
    variables: dict[str, str]
    compiler: str


@dataclass(frozen=True, slots=True)
class Compile:
    """Build `targets` (CMake names) and put each where `modules` says the package looks for it.

    `launcher` stands in front of every compiler and asks the scheduler; `jobs` compiles run at once
    at most, and hold `memory_bytes` together at most where that was wished. `cache` is ccache or
    sccache, None for neither; with `cache_wished` it is that or nothing.
    """

    source: str
    build: str
    targets: tuple[str, ...]
    modules: tuple[str, ...]
    launcher: str
    jobs: int
    memory_bytes: int | None = None
    cache: str | None = None
    cache_wished: bool = False


@dataclass(frozen=True, slots=True)
class ReusedTarget:
    """The `members` of a wheel that stand for one target; its extension is the first."""

    name: str
    members: tuple[WheelMember, ...]


@dataclass(frozen=True, slots=True)
class Reuse:
    """Targets taken out of the published `wheel` into the tree at `source` instead of compiled.

    `version` is the wheel's release, `sha256` the whole wheel's, hex. Each extension is proven
    against the `environment` and the `gpu_arch` (compute capabilities) before it is installed.
    """

    source: str
    environment: str
    version: str
    wheel: str
    sha256: str
    targets: tuple[ReusedTarget, ...]
    gpu_arch: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Register:
    """The editable install: metadata of `version` in the environment, pointing at the tree."""

    source: str
    environment: str
    version: str
    device: str


Action = (
    SystemPackages
    | MakeToolkit
    | Projects
    | Source
    | Environment
    | Requirements
    | Specialize
    | Configure
    | Compile
    | Reuse
    | Register
)


@dataclass(frozen=True, slots=True)
class Step:
    """`fingerprint` is a sha256 over the action and the fingerprints of the steps in `after`."""

    name: str
    title: str
    action: Action
    after: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Choice:
    value: Any
    because: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class PlannedTarget:
    """`files` are the sources it compiles, None where the tree alone does not say.

    `origin` says whether a built one is compiled, or taken out of the release's wheel (`reuse`);
    None where it is not built. `why_origin` are the reasons. `left_out` are the
    sources that `--specialize` takes off it, by reason.
    """

    name: str
    build: bool
    because: str
    files: int | None = None
    origin: Literal["compile", "reuse"] | None = None
    why_origin: tuple[Reason, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Estimate:
    """Orders of magnitude, from measurements (docs/measurements.md); None: not known."""

    disk_bytes: int | None = None
    compile_cpu_seconds: int | None = None
    peak_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """cli.md's `plan` document; `key` names the environment and everything made for it."""

    status: Literal["ok", "refused"]
    key: str
    choices: dict[str, Choice]
    refusals: tuple[Refused, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What the user would have met without this plan; nothing to act on."""
    targets: tuple[PlannedTarget, ...] = ()
    steps: tuple[Step, ...] = ()
    estimate: Estimate = field(default_factory=Estimate)
