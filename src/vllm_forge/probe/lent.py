"""What an interpreter has to lend: its torch, read from files without importing it."""

import json
import re
import shutil
from pathlib import Path
from typing import Any, Final

from vllm_forge.records.doors import RunCommand
from vllm_forge.records.lent import Lent
from vllm_forge.records.problem import ExitCode, Problem

QUESTION: Final = """
import hashlib, importlib.util, json, os, sys, sysconfig
from importlib.metadata import distributions
own = {os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
folders = [
    folder
    for folder in sys.path
    if os.path.isdir(folder)
    and os.path.realpath(folder) not in own
    and os.path.basename(folder) != "lib-dynload"
]
found = importlib.util.find_spec("torch")
torch = "" if found is None or not found.submodule_search_locations else (
    found.submodule_search_locations[0])
installed = sorted({f"{one.name}=={one.version}" for one in distributions(path=folders)})
print(json.dumps({
    "version": "%d.%d.%d" % sys.version_info[:3],
    "implementation": sys.implementation.name,
    "headers": os.path.isfile(os.path.join(sysconfig.get_config_var("INCLUDEPY"), "Python.h")),
    "folders": folders,
    "torch": torch,
    "packages": hashlib.sha256(chr(10).join(installed).encode()).hexdigest(),
}))
"""
"""-I leaves out the folder of the script, PYTHONPATH and the user's own packages: what remains of
sys.path beside the standard library is what every user of that interpreter sees."""

TIMEOUT: Final = 60.0


def read_lent(named: str, run: RunCommand) -> Lent:
    """`named` is a path, or a name on PATH.

    Raises:
        Problem: exit 2 for what is no interpreter, or one without torch.
    """
    found = shutil.which(named)
    if found is None:
        raise Problem(
            f"--torch-from {named}: no such program",
            hints=("give the path of an interpreter that has torch",),
            exit_code=ExitCode.USAGE,
        )
    python = Path(found).absolute()
    said = run([python, "-I", "-c", QUESTION], timeout=TIMEOUT)
    facts = _parse(said.stdout) if said.code == 0 else None
    if facts is None:
        raise Problem(
            f"--torch-from {named}: {python} is no CPython interpreter",
            causes=tuple(said.stderr.strip().splitlines()[-1:]),
            exit_code=ExitCode.USAGE,
        )
    if not facts["torch"]:
        raise Problem(
            f"--torch-from {named}: {python} has no torch",
            hints=("name the interpreter that imports torch, or leave the option out",),
            exit_code=ExitCode.USAGE,
        )
    torch, cuda = parse_torch_version((Path(facts["torch"]) / "version.py").read_text())
    return Lent(
        python=str(python),
        version=facts["version"],
        headers=facts["headers"],
        torch=torch,
        cuda=cuda,
        folders=tuple(facts["folders"]),
        packages=facts["packages"],
    )


def parse_torch_version(text: str) -> tuple[str, str | None]:
    r"""Version and CUDA of torch/version.py, which its build wrote.

    >>> parse_torch_version("__version__ = '2.11.0+cu130'\ncuda: Optional[str] = '13.0'\n")
    ('2.11.0+cu130', '13.0')
    >>> parse_torch_version("__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\n")
    ('2.13.0+cpu', None)
    """
    values = dict(re.findall(r"^(\w+)(?:\s*:[^=]+)?\s*=\s*['\"]([^'\"]*)['\"]", text, re.MULTILINE))
    if "__version__" not in values:
        raise Problem("torch/version.py tells no version", exit_code=ExitCode.BAD_INPUT)
    return values["__version__"], values.get("cuda")


def _parse(said: str) -> dict[str, Any] | None:
    """The answer; None where it is none, or another implementation's."""
    try:
        facts = json.loads(said.strip().splitlines()[-1])
    except (IndexError, ValueError):
        return None
    return facts if facts.get("implementation") == "cpython" else None
