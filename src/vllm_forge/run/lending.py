"""An environment over an interpreter's own packages: torch stays where it is, the rest is added.

uv looks at what is in an environment itself, not at what it shows of another. So what the
interpreter has is told to uv as candidates: wheels with metadata and nothing else, which are good
for resolving and are never installed.
"""

import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from vllm_forge.records.doors import RunCommand
from vllm_forge.records.lent import Lent
from vllm_forge.records.problem import Problem
from vllm_forge.run.files import write_atomically

PATHS: Final = "forge-lent.pth"

QUESTION: Final = """
import json, sys
from importlib.metadata import distributions
found = {}
for one in distributions(path=sys.argv[1:]):
    text = one.read_text("METADATA") or one.read_text("PKG-INFO")
    if text and one.name:
        found.setdefault(one.name.lower(), (one.name, one.version, text))
print(json.dumps(list(found.values())))
"""

WHEEL: Final = (
    "Wheel-Version: 1.0\nGenerator: vllm-forge\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
)


@dataclass(frozen=True, slots=True)
class LentPackages:
    """`versions` by canonical name; `links` is a folder of wheels that hold metadata alone."""

    versions: dict[str, str]
    links: Path


def show_packages(lent: Lent, site_packages: Path) -> Path:
    """Let the environment see the interpreter's packages, behind its own."""
    path = site_packages / PATHS
    lines = [f"import site; site.addsitedir({folder!r})\n" for folder in lent.folders]
    write_atomically(path, "".join(lines))
    return path


def read_packages(lent: Lent, links: Path, run: RunCommand) -> LentPackages:
    """Write the metadata of everything the interpreter has into `links`.

    Raises:
        Problem: exit 1 when the interpreter cannot say what it has.
    """
    said = run([lent.python, "-I", "-c", QUESTION, *lent.folders], timeout=120.0)
    if said.code != 0:
        last = said.stderr.strip().splitlines()[-1:]
        raise Problem(f"{lent.python} cannot say what it has", causes=tuple(last))
    links.mkdir(parents=True, exist_ok=True)
    for old in links.glob("*.whl"):
        old.unlink()
    versions: dict[str, str] = {}
    for name, version, metadata in json.loads(said.stdout.strip().splitlines()[-1]):
        if write_metadata_wheel(links, name, version, metadata) is not None:
            versions[canonicalize_name(name)] = version
    return LentPackages(versions, links)


def write_metadata_wheel(folder: Path, name: str, version: str, metadata: str) -> Path | None:
    """A wheel with nothing in it but what it says of itself; None for a version that is none."""
    try:
        normal = str(Version(version))
    except InvalidVersion:
        return None
    stem = f"{canonicalize_name(name).replace('-', '_')}-{normal}"
    path = folder / f"{stem}-py3-none-any.whl"
    info = f"{stem}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(f"{info}/WHEEL", WHEEL)
        wheel.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


def as_preferences(packages: LentPackages) -> str:
    """A requirements file of what is there; as uv's output file, it prefers those versions."""
    return "".join(f"{name}=={version}\n" for name, version in sorted(packages.versions.items()))


def without_lent(resolved: str, packages: LentPackages) -> str:
    r"""A pip-compiled file without what the interpreter has in just that version.

    >>> here = LentPackages({"numpy": "2.5.2", "six": "1.0"}, Path())
    >>> without_lent("numpy==2.5.2 \\\n    --hash=sha256:0\nsix==2.0\n", here)
    'six==2.0\n'
    """
    kept: list[str] = []
    dropping = False
    for line in resolved.splitlines(keepends=True):
        found = re.match(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*==\s*([^\s;\\]+)", line)
        if found is not None:
            there = packages.versions.get(canonicalize_name(found[1]))
            dropping = there is not None and Version(there) == Version(found[2])
        if not dropping:
            kept.append(line)
    return "".join(kept)


def refuse_own_torch(site_packages: Path, lent: Lent) -> None:
    """The environment has no torch of its own beside the one it was given."""
    if (site_packages / "torch").exists():
        raise Problem(
            f"{site_packages} got a torch of its own beside {lent.python}'s",
            hints=(f"{site_packages.parents[2] / 'bin' / 'python'} -m pip uninstall torch",),
        )
