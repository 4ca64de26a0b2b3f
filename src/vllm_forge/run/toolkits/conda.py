"""Toolkits from conda packages, where micromamba or conda is here; channels are the user's own.

The packages are those of the community's channel (cuda-nvcc-impl and its like): each CUDA version
is held together by the package cuda-version.
"""

import shutil
from pathlib import Path
from typing import Final

import msgspec

from vllm_forge.records.decision import Reason, Refused
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.toolkit import Archive, Offer
from vllm_forge.resolve.cuda_facts import minor_of
from vllm_forge.run.doors import Doors
from vllm_forge.run.files import write_atomically
from vllm_forge.run.process import dies_with_us
from vllm_forge.run.toolkits.layout import place_of_nvidia, render_profile
from vllm_forge.run.toolkits.provider import SUBJECT, Asked, Recipe, Tell
from vllm_forge.run.toolkits.unpack import move_needed

PROGRAMS: Final = ("micromamba", "mamba", "conda")
PACKAGES: Final = (
    *("cuda-nvcc-impl", "cuda-nvcc-tools", "cuda-cudart-dev", "cuda-cudart-static", "cuda-cccl"),
    *("cuda-driver-dev", "cuda-nvtx-dev", "cuda-profiler-api", "cuda-nvml-dev", "cuda-cuobjdump"),
    "cuda-nvrtc-dev",
    *("libcublas-dev", "libcusparse-dev", "libcusolver-dev", "libcurand-dev"),
)
UNPACKED_BYTES: Final = 2_500_000_000
"""The whole solution, once; the prefix keeps the smaller part."""
SOLVE_SECONDS: Final = 300.0
FETCH_SECONDS: Final = 3600.0


class _Link(msgspec.Struct):
    name: str
    version: str
    url: str = ""
    fn: str = ""
    sha256: str = ""
    size: int | None = None


class _Actions(msgspec.Struct):
    LINK: list[_Link] = []
    FETCH: list[_Link] = []


class _Solution(msgspec.Struct):
    success: bool = False
    actions: _Actions = msgspec.field(default_factory=_Actions)


def offer_conda(asked: Asked, doors: Doors) -> Recipe | Refused:
    """What the user's conda solves for that version."""
    program = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if program is None:
        return Refused(SUBJECT, (Reason("neither micromamba nor conda is here", "PATH"),))
    prefix = doors.home.path / "unfinished" / f"conda-{minor_of(asked.version)}"
    create = [program, "create", "--yes", "--quiet", "--json", "--prefix", str(prefix)]
    wanted = [*PACKAGES, f"cuda-version={minor_of(asked.version)}"]
    said = doors.run([*create, "--dry-run", *wanted], timeout=SOLVE_SECONDS)
    if said.code != 0:
        last = (said.stderr or said.stdout).strip().splitlines()[-1:]
        fact = f"{Path(program).name} finds no solution: {' '.join(last) or f'code {said.code}'}"
        return Refused(SUBJECT, (Reason(fact, "the configured channels"),))
    nvcc, archives = parse_solution(said.stdout, program)
    origin = f"{Path(program).name}'s configured channels"
    offer = Offer("conda", nvcc, archives, UNPACKED_BYTES, origin)

    def fill(into: Path, _tell: Tell) -> None:
        tree = into / "conda"
        command = [*dies_with_us(), *create[:-1], str(tree), *wanted]
        made = doors.run(command, timeout=FETCH_SECONDS)
        if made.code != 0:
            raise Problem(
                f"{Path(program).name} could not install the toolkit's packages",
                causes=tuple((made.stderr or made.stdout).strip().splitlines()[-3:]),
                exit_code=ExitCode.UNREACHABLE,
            )
        move_needed(tree, into, place_of_conda)
        write_atomically(into / "bin" / "nvcc.profile", render_profile(into))
        shutil.rmtree(tree)

    return Recipe(offer, fill, lambda: None)


def place_of_conda(member: str) -> str | None:
    """As NVIDIA packs it below targets/; what lies in the environment's own folders is others'.

    >>> place_of_conda("targets/x86_64-linux/include/cuda.h"), place_of_conda("include/zlib.h")
    ('include/cuda.h', None)
    >>> place_of_conda("bin/ptxas"), place_of_conda("nvvm/bin/cicc")
    ('bin/ptxas', 'nvvm/bin/cicc')
    """
    own = member.startswith(("targets/", "bin/", "nvvm/"))
    return place_of_nvidia(member) if own else None


def parse_solution(text: str, program: str) -> tuple[str, tuple[Archive, ...]]:
    """(nvcc's version, packages) of `create --dry-run --json`.

    Raises:
        Problem: exit 5 when the answer holds no nvcc.
    """
    start = text.find("{")
    try:
        solution = msgspec.json.decode(text[max(start, 0) :], type=_Solution)
    except msgspec.DecodeError as error:
        raise Problem(f"{program}: {error}", exit_code=ExitCode.BAD_INPUT) from error
    links = solution.actions.LINK or solution.actions.FETCH
    nvcc = next((link.version for link in links if link.name == "cuda-nvcc-tools"), None)
    if nvcc is None:
        raise Problem(f"{program} solved without nvcc", exit_code=ExitCode.BAD_INPUT)
    archives = tuple(
        Archive(link.fn or link.url.rpartition("/")[2], link.url, link.sha256, link.size)
        for link in links
    )
    return nvcc, archives
