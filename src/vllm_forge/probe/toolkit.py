"""CUDA toolkits: every place that holds an nvcc."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from vllm_forge.probe.answers import Answers, in_parallel
from vllm_forge.probe.programs import Programs, each_once, runnable
from vllm_forge.probe.toolkit_parts import missing_parts
from vllm_forge.records.machine import Toolkit

VARIABLES: Final = ("CUDA_HOME", "CUDA_PATH")
"""torch.utils.cpp_extension looks at both, in this order."""

RELEASE: Final = re.compile(r"release (\d+\.\d+), V(\d+(?:\.\d+)+)")
HERE: Final = re.compile(r"^#\$ _HERE_=(.+)$", re.MULTILINE)
SYSTEM: Final = Path("/usr")
ELF: Final = b"\x7fELF"


def parse_nvcc_version(text: str) -> tuple[str, str] | None:
    r"""(toolkit version, nvcc version) from `nvcc --version`.

    >>> parse_nvcc_version("nvcc: NVIDIA\nCuda compilation tools, release 12.4, V12.4.131\n")
    ('12.4', '12.4.131')
    """
    match = RELEASE.search(text)
    return (match[1], match[2]) if match else None


def parse_nvcc_folder(text: str) -> Path | None:
    r"""The folder of the real nvcc, from the variables that `nvcc -dryrun` prints.

    >>> parse_nvcc_folder("#$ _SPACE_= \n#$ _HERE_=/usr/local/cuda-13.0/bin\n#$ TOP=/x")
    PosixPath('/usr/local/cuda-13.0/bin')
    """
    match = HERE.search(text)
    return Path(match[1]) if match else None


def candidates(
    programs: Programs, environ: Mapping[str, str], home: Path, *, root: Path
) -> Iterator[Path]:
    """Where nvcc may be: named by the user, on PATH, by convention, unpacked by the forge."""
    for variable in VARIABLES:
        if environ.get(variable):
            yield Path(environ[variable]) / "bin/nvcc"
    yield from programs.get("nvcc", ())
    for pattern in ("usr/local/cuda", "usr/local/cuda-*", "opt/cuda", "usr/lib/cuda"):
        yield from (prefix / "bin/nvcc" for prefix in sorted(root.glob(pattern), reverse=True))
    yield from sorted(home.glob("toolkits/*/bin/nvcc"))


def prefix_of(nvcc: Path, answers: Answers) -> tuple[Path, Path] | None:
    """(prefix to use as CUDA_HOME, the real nvcc) behind a link or a wrapper script.

    Debian's /usr/bin/nvcc is a script that runs /usr/lib/nvidia-cuda-toolkit/bin/nvcc, while the
    headers lie in /usr/include: of both prefixes the one with cuda_runtime.h is the toolkit.
    """
    real = nvcc.resolve()
    with real.open("rb") as file:
        is_program = file.read(len(ELF)) == ELF
    if is_program:
        return real.parent.parent, real
    # Not remembered: the script may come to lead elsewhere without being touched.
    said = answers.ask(real, "-dryrun", "-x", "cu", "-E", "/dev/null", remember=False)
    folder = parse_nvcc_folder(said.stderr) or parse_nvcc_folder(said.stdout)
    if folder is None or not runnable(folder / "nvcc"):
        return None
    behind = (folder / "nvcc").resolve()
    prefixes = (behind.parent.parent, nvcc.parent.parent)
    return next((each for each in prefixes if has_headers(each)), prefixes[0]), behind


def has_headers(prefix: Path) -> bool:
    return any(prefix.glob("include/cuda_runtime.h")) or any(
        prefix.glob("targets/*/include/cuda_runtime.h")
    )


def read_toolkits(
    programs: Programs,
    answers: Answers,
    environ: Mapping[str, str],
    home: Path,
    *,
    root: Path = Path("/"),
) -> tuple[Toolkit, ...]:
    """Each toolkit once, the one named by the user first, by its real folder."""

    def ask(nvcc: Path) -> Toolkit | None:
        try:
            behind = prefix_of(nvcc, answers)
        except OSError:
            return None
        if behind is None:
            return None
        prefix, program = behind
        version = parse_nvcc_version(answers.ask(program, "--version").stdout)
        if version is None:
            return None
        # A distribution spreads the parts over its own folders: nothing can be said of them.
        lacks = None if prefix == SYSTEM else missing_parts(prefix)
        return Toolkit(version[0], str(prefix), version[1], lacks)

    places = (path for path, _ in each_once(candidates(programs, environ, home, root=root)))
    found: dict[str, Toolkit] = {}
    for toolkit in in_parallel(ask, places):
        if toolkit is not None:
            found.setdefault(toolkit.path, toolkit)
    return tuple(found.values())
