"""Import every extension by the environment's own Python, as far as this machine allows.

Without a driver there is no libcuda.so.1, and the loader refuses whatever names it. NVIDIA's
toolkits carry a stub of it with the same soname and the same functions, made for linking where no
driver is; put in its place, the loader resolves every symbol and the extension registers its
operators, while every call into the driver fails by itself (CUDA error 34). So what is left
unproven is the driver alone, and that is said.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from vllm_forge.records.check import Check, CheckStatus
from vllm_forge.records.doors import RunCommand
from vllm_forge.verify.elf_libraries import DRIVER_LIBRARIES
from vllm_forge.verify.environment import ANSWER, root_error
from vllm_forge.verify.generation import worker

IMPORT_SECONDS: Final = 600.0
NOT_FOUND: Final = "cannot open shared object file"


@dataclass(frozen=True, slots=True)
class Imported:
    """`operators` as torch's dispatcher names them (`_C::rms_norm`), with whether it has a kernel.

    `error` is None where the module imports.
    """

    error: str | None
    operators: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Session:
    """What one process said: of each module by name, and of the GPUs torch can use.

    `devices` is None where the process did not get that far; `tried` is the module it was at last.
    """

    modules: Mapping[str, Imported]
    devices: int | None = None
    why: str | None = None
    tried: str | None = None


def import_extensions(
    python: Path,
    modules: Mapping[str, Path],
    *,
    environ: Mapping[str, str],
    run: RunCommand,
    cwd: Path,
) -> Session:
    """One process imports all of `modules`, names with their files.

    One that dies is told by the module it was at.
    """
    words = [f"{name}={path}" for name, path in modules.items()]
    command: list[str | Path] = [python, worker("import_extensions"), *words]
    said = run(command, env=environ, cwd=cwd, timeout=IMPORT_SECONDS)
    session = parse_session(said.stdout)
    dead = [name for name in modules if name not in session.modules]
    if not dead or said.code == 0:
        return session
    lines = [line for line in (said.stdout + said.stderr).splitlines() if ANSWER not in line]
    last = root_error("\n".join(lines))
    why = f"the interpreter ended with code {said.code}{': ' if last else ''}{''.join(last[:1])}"
    at = session.tried if session.tried in dead else dead[0]
    ended = {name: Imported(why if name == at else f"not tried: {why}, at {at}") for name in dead}
    return Session({**session.modules, **ended})


def parse_session(stdout: str) -> Session:
    """The worker's lines; anything else on stdout is vLLM's."""
    modules: dict[str, Imported] = {}
    devices, why, tried = None, None, None
    for line in stdout.splitlines():
        if not line.startswith(ANSWER):
            continue
        answer = json.loads(line.removeprefix(ANSWER))
        if "module" in answer:
            modules[answer["module"]] = Imported(answer["error"], answer["operators"])
        elif "devices" in answer:
            devices, why = answer["devices"], answer["why"]
        else:
            tried = answer["trying"]
    return Session(modules, devices, why, tried)


def missing_driver(error: str | None) -> str | None:
    """The driver's library that the loader did not find, where that is the error.

    >>> missing_driver("ImportError: libcuda.so.1: cannot open shared object file: No such file")
    'libcuda.so.1'
    """
    if error is None or NOT_FOUND not in error:
        return None
    return next((library for library in DRIVER_LIBRARIES if f"{library}:" in error), None)


def prove_extensions(real: Session, stubbed: Session | None) -> tuple[Check, ...]:
    """A check for each module: what the real loader says, then what it says with the stubs."""
    return tuple(
        judge_import(name, imported, None if stubbed is None else stubbed.modules.get(name))
        for name, imported in real.modules.items()
    )


def judge_import(name: str, real: Imported, stubbed: Imported | None) -> Check:
    check = f"import:{name}"
    library = missing_driver(real.error)
    if real.error is None:
        return Check(check, CheckStatus.PASSED, f"imports{registers(real)}")
    if library is None:
        return Check(check, CheckStatus.FAILED, real.error)
    absent = f"{library} comes with the GPU driver, and there is none here"
    if stubbed is None:
        return Check(check, CheckStatus.SKIPPED, f"{absent}; nor a stub of it to import with")
    if stubbed.error is not None:
        detail = f"with a stub of {library} in the driver's place: {stubbed.error}"
        return Check(check, CheckStatus.FAILED, detail, (absent,))
    detail = f"{absent}; with the toolkit's stub in its place it imports{registers(stubbed)}"
    return Check(check, CheckStatus.SKIPPED, detail, (real.error,))


def registers(imported: Imported) -> str:
    count = len(imported.operators)
    return f" and registers {count} operator{'s'[: count != 1]}" if count else ""


def prove_registered(
    name: str,
    registered: Mapping[str, bool],
    wanted: Sequence[str],
    elsewhere: Mapping[str, Sequence[str]],
) -> Check:
    """Torch's dispatcher has every operator that the built sources certainly define.

    `elsewhere` names, for an operator, the sources of the tree that implement it and were not
    built into the extension: they explain a definition without an implementation.
    """
    check = f"operators:{name}"
    missing = [one for one in wanted if one not in registered]
    bare = [one for one, implemented in registered.items() if not implemented]
    reasons = tuple(f"{one} {why_bare(elsewhere.get(one, ()))}" for one in bare)
    if missing:
        detail = f"{len(missing)} of {len(wanted)} operators that its sources define are missing"
        return Check(check, CheckStatus.FAILED, detail, (*missing, *reasons))
    if not registered:
        return Check(check, CheckStatus.SKIPPED, "its sources register no operator")
    of_sources = f", all {len(wanted)} that its sources define" if wanted else ""
    detail = f"registers {len(registered)}{of_sources}"
    if bare:
        detail += f"; {len(bare)} defined without an implementation: {', '.join(bare)}"
    return Check(check, CheckStatus.PASSED, detail, reasons)


def why_bare(sources: Sequence[str]) -> str:
    if not sources:
        return "is defined, and no source of the tree implements it"
    return f"is defined; {', '.join(sources)}, which implements it, is not compiled for these GPUs"
