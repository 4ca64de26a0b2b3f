"""The virtual environment: made by uv, torch proven in it once, then protected."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from packaging.version import Version

from vllm_forge.records.doors import RunCommand
from vllm_forge.records.plan import Environment, Requirements
from vllm_forge.records.problem import Problem
from vllm_forge.run.files import write_atomically
from vllm_forge.run.lending import (
    as_preferences,
    read_packages,
    refuse_own_torch,
    show_packages,
    without_lent,
)
from vllm_forge.run.uv import Uv, resolve_as_of

CONSTRAINTS = "forge-constraints.txt"
RESOLVED = "forge-resolved.txt"
SEEDED = frozenset(
    {"__pycache__", "_distutils_hack", "pip", "pkg_resources", "setuptools", "wheel"}
)

PROOF = """
import json, torch
from importlib.metadata import version
print(json.dumps({
    "installed": version("torch"),
    "version": torch.__version__,
    "cuda": torch.version.cuda,
    "cxx11_abi": bool(torch._C._GLIBCXX_USE_CXX11_ABI),
    "folder": torch.__path__[0],
}))
"""


@dataclass(frozen=True, slots=True)
class TorchProof:
    """What torch says of itself when imported. `cxx11_abi`: libstdc++'s new string ABI."""

    version: str
    cuda: str | None
    cxx11_abi: bool
    folder: str


def python_of(environment: Path) -> Path:
    return environment / "bin" / "python"


def site_packages_of(environment: Path) -> Path:
    """The environment's own package folder."""
    return next((environment / "lib").glob("python3.*/site-packages"))


def package_folders(environment: Path) -> tuple[Path, ...]:
    """Folders that packages brought; an upgrade by the user keeps their names, a loss does not.

    What a user's own upgrade of the seeded tools may drop (setuptools' pkg_resources) is left out.
    """
    return tuple(
        folder
        for folder in sorted((environment / "lib").glob("python3.*/site-packages/*/"))
        if folder.name not in SEEDED and folder.suffix not in {".dist-info", ".egg-info"}
    )


def make_environment(action: Environment, uv: Uv) -> Path:
    """A fresh environment with pip and torch; what stood in its place before is cleared.

    pip is in it because people use it there: its constraint file (a venv's own pip.conf) names the
    torch that the extensions were compiled for, so that no later install swaps it. With a lent
    torch nothing is installed: that interpreter's packages are shown, its pip among them.
    """
    path = Path(action.path)
    seed = () if action.lent else ("--seed",)
    new = ("venv", "--clear", *seed, "--no-project", "--python", action.python, path)
    uv(*new, failed=f"the environment {path} could not be made")
    if action.lent is not None:
        show_packages(action.lent, site_packages_of(path))
        return path
    torch = f"torch=={action.torch}"
    uv(
        *("pip", "install", "--python", python_of(path), torch),
        failed=f"torch {action.torch} could not be installed",
    )
    return path


IMPORT_SECONDS = 900.0
"""A limit against hanging: 5 s alone, minutes on a crowded machine with a cold disk."""


def prove_torch(action: Environment, run: RunCommand) -> TorchProof:
    """Import torch once in the environment and hold it to the plan.

    Raises:
        Problem: exit 1 when it does not import, or is another torch or CUDA than planned.
    """
    started = monotonic()
    said = run([python_of(Path(action.path)), "-I", "-c", PROOF], timeout=IMPORT_SECONDS)
    if said.code != 0 and monotonic() - started >= IMPORT_SECONDS:
        raise Problem(
            f"torch {action.torch} was still being imported after {IMPORT_SECONDS:.0f} s",
            hints=("something else uses this machine: run the same command again later",),
        )
    if said.code != 0:
        last = [line for line in f"{said.stdout}\n{said.stderr}".splitlines() if line.strip()][-1:]
        raise Problem(
            f"torch {action.torch} does not import in {action.path}",
            causes=tuple(last),
        )
    facts = json.loads(said.stdout.strip().splitlines()[-1])
    installed = facts.pop("installed")
    proof = TorchProof(**facts)
    if not is_same_release(proof.version, action.torch):
        raise Problem(
            f"the environment has torch {proof.version}, the plan has {action.torch}",
            hints=(f"delete {action.path} and run again",),
        )
    if action.torch_cuda is not None and proof.cuda != action.torch_cuda:
        raise Problem(
            f"torch {proof.version} carries CUDA {proof.cuda}, the plan has {action.torch_cuda}",
            hints=("plan again: the index has another build of it than the table says",),
        )
    if action.lent is not None:
        refuse_own_torch(site_packages_of(Path(action.path)), action.lent)
    constraints = Path(action.path) / CONSTRAINTS
    # pip compares the metadata's version, which is 2.6.0 where torch itself says 2.6.0+cu124.
    write_atomically(constraints, f"torch=={installed}\n")
    write_atomically(
        Path(action.path) / "pip.conf",
        f"[global]\n# vllm-forge: the extensions were compiled for this torch\n"
        f"constraint = {constraints}\n",
    )
    return proof


def is_same_release(one: str, other: str) -> bool:
    """Local parts aside.

    >>> is_same_release("2.6.0+cu124", "2.6"), is_same_release("2.6.1", "2.6.0")
    (True, False)
    """
    return Version(Version(one).public) == Version(Version(other).public)


def install_requirements(
    action: Requirements,
    uv: Uv,
    *,
    torch: str,
    published: str | None,
    on_note: Callable[[str], None],
    run: RunCommand,
) -> Path:
    """Resolve the requirements with hashes, install exactly that set, and keep it as a file.

    `torch` is the proven public version, a constraint. `published` (ISO 8601) is the day unbounded
    requirements are resolved for: vLLM 0.10.1 asks for `transformers >= 4.55.0` and breaks with
    the transformers of the month after (docs/environment.md).
    """
    environment = Path(action.environment)
    python = python_of(environment)
    if action.locked is not None:
        return _install_locked(environment, action.locked, uv)
    wanted = environment / "forge-requirements.txt"
    write_atomically(wanted, "".join(f"{line}\n" for line in (*action.lines, *action.build_lines)))
    limits = environment / "forge-resolve-constraints.txt"
    write_atomically(limits, f"torch=={torch}\n")
    resolved = environment / RESOLVED
    lent = None
    if action.lent is not None:
        lent = read_packages(action.lent, environment / "forge-lent", run)
        uv = uv.with_links(lent.links)
        write_atomically(resolved, as_preferences(lent))

    def resolve(client: Uv, *date: str) -> None:
        client(
            *("pip", "compile", wanted, "--constraint", limits, "--generate-hashes", "--no-header"),
            *("--python", python, "--output-file", resolved),
            *date,
            failed="the tree's requirements have no common solution",
        )

    if lent is None:
        client = resolve_as_of(resolve, uv, published if action.as_of_release else None, on_note)
    else:
        # What is there has no upload date and would count as too new for any day.
        client = uv
        resolve(client)
    if lent is not None:
        write_atomically(resolved, without_lent(resolved.read_text(), lent))
    exact = environment / "forge-install.txt"
    write_atomically(exact, without_project(resolved.read_text(), "torch"))
    # uv believes a package's metadata; where its files are gone, it would leave the hole.
    client(
        *("pip", "uninstall", "--python", python, "--requirement", exact),
        failed="what stood in the environment could not be taken out",
    )
    client(
        *("pip", "install", "--python", python, "--no-deps", "--requirement", exact),
        *("--constraint", environment / CONSTRAINTS),
        failed="the tree's requirements could not be installed",
    )
    if action.lent is not None:
        refuse_own_torch(site_packages_of(environment), action.lent)
    return resolved


def _install_locked(environment: Path, locked: str, uv: Uv) -> Path:
    """Exactly the lock's packages, each held to its hash; torch is among them and stays."""
    resolved = environment / RESOLVED
    write_atomically(resolved, locked)
    uv(
        *("pip", "install", "--python", python_of(environment), "--no-deps", "--require-hashes"),
        *("--requirement", resolved),
        failed="the lock's packages could not be installed",
    )
    return resolved


def without_project(requirements: str, name: str) -> str:
    r"""A pip-compiled file without one project and its hash lines.

    torch is in place already, and its local version (2.6.0+cu124) need not carry the index's hash.

    >>> without_project("a==1 \\\n    --hash=sha256:0\ntorch==2 \\\n    --hash=sha256:1\n", "torch")
    'a==1 \\\n    --hash=sha256:0\n'
    """
    kept: list[str] = []
    dropping = False
    for line in requirements.splitlines(keepends=True):
        if re.match(r"[A-Za-z0-9]", line):
            dropping = re.match(rf"{re.escape(name)}\s*==", line) is not None
        if not dropping:
            kept.append(line)
    return "".join(kept)
