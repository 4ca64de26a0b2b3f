"""CPython interpreters: on PATH, kept by pyenv, kept by uv, and the one that runs us."""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from vllm_forge.probe.answers import Answers, in_parallel
from vllm_forge.probe.programs import Programs, each_once
from vllm_forge.records.machine import Python

NAME: Final = re.compile(r"python(3(\.\d+)?)?")

QUESTION: Final = (
    "import sys,sysconfig as c;"
    "print('%d.%d.%d'%sys.version_info[:3]);"
    "print(sys.implementation.name);"
    "print(sys.prefix==sys.base_prefix);"
    "print(bool(c.get_config_var('Py_GIL_DISABLED')));"
    "print(c.get_config_var('INCLUDEPY'))"
)


def parse_python(text: str, path: str) -> tuple[Python, Path] | None:
    r"""An interpreter's answer to QUESTION, and its include folder.

    None for what no vLLM supports: another implementation, a build without the GIL (its wheels are
    others), and for a virtual environment, whose base is found on its own.

    >>> python, include = parse_python("3.11.2\ncpython\nTrue\nFalse\n/usr/include/x\n", "/bin/py")
    >>> python.version, str(include)
    ('3.11.2', '/usr/include/x')
    """
    match text.splitlines():
        case [version, "cpython", "True", "False", include]:
            return Python(version, path), Path(include)
        case _:
            return None


def candidates(programs: Programs, environ: Mapping[str, str]) -> Iterator[Path]:
    """Shims of pyenv are passed over: they start a shell, and the versions lie beside them."""
    pyenv = Path(environ.get("PYENV_ROOT") or Path(environ.get("HOME", "/")) / ".pyenv")
    data = Path(environ.get("XDG_DATA_HOME") or Path(environ.get("HOME", "/")) / ".local/share")
    kept_by_uv = Path(environ.get("UV_PYTHON_INSTALL_DIR") or data / "uv/python")
    for name in sorted((name for name in programs if NAME.fullmatch(name)), key=len):
        yield from (path for path in programs[name] if path.parent != pyenv / "shims")
    yield Path(sys.executable)
    yield from sorted((pyenv / "versions").glob("3.*/bin/python3"))
    yield from sorted(kept_by_uv.glob("cpython-3.*/bin/python3"))


def read_pythons(
    programs: Programs, answers: Answers, environ: Mapping[str, str]
) -> tuple[Python, ...]:
    """Newest first. One that does not run, as a shim without a version, is not an interpreter."""

    def ask(found: tuple[Path, Path]) -> Python | None:
        _, real = found
        said = answers.ask(real, "-I", "-S", "-c", QUESTION)
        parsed = parse_python(said.stdout, str(real)) if said.code == 0 else None
        if parsed is None:
            return None
        python, include = parsed
        return Python(python.version, python.path, headers=(include / "Python.h").is_file())

    found = [each for each in in_parallel(ask, each_once(candidates(programs, environ))) if each]
    return tuple(sorted(found, key=version_key, reverse=True))


def version_key(python: Python) -> tuple[int, ...]:
    return tuple(int(part) for part in python.version.split("."))
