"""What CMake's install rules put beside an extension: the Python files of a fetched project."""

import shutil
import tempfile
from pathlib import Path

from vllm_forge.records.problem import Problem
from vllm_forge.run.process import work
from vllm_forge.run.tools import build_variables, tool


def install_beside(build: Path, target: str, tree: Path, log: Path) -> tuple[Path, ...]:
    """Install the component `target` of a build folder into `tree`, extensions left out.

    As setup.py does after its compile (0.10.1 setup.py:268-283): the sdist's own files in such a
    package may be of another revision of the project (docs/reuse.md). Each is put there atomically.

    Raises:
        Problem: exit 1 where CMake cannot install it.
    """
    with tempfile.TemporaryDirectory(prefix="install-", dir=build) as folder:
        prefix = Path(folder)
        cmake: list[str | Path] = [tool("cmake"), "--install", build, "--prefix", prefix]
        worked = work([*cmake, "--component", target], log=log, env=build_variables())
        if worked.code != 0:
            raise Problem(f"{target} was built and could not be installed", causes=(f"log: {log}",))
        return tuple(
            _put(file, tree / file.relative_to(prefix))
            for file in sorted(prefix.rglob("*"))
            if file.is_file() and ".so" not in file.suffixes
        )


def _put(file: Path, place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    half = place.with_name(f".{place.name}.half")
    shutil.copyfile(file, half)
    half.replace(place)
    return place
