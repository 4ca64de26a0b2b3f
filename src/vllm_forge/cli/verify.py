"""`verify`: prove an environment."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vllm_forge.cli.common import Common, environment, put_json, show
from vllm_forge.cli.proving import (
    Imports,
    prove_abis,
    prove_gpu_code,
    prove_imports,
    prove_present,
    prove_specialized,
)
from vllm_forge.records.built import Built
from vllm_forge.records.check import Check, CheckStatus
from vllm_forge.records.home import Home
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.built import find_built
from vllm_forge.run.process import run_command, run_in_group
from vllm_forge.show.checks import render_checks
from vllm_forge.verify.binary import prove_binaries
from vllm_forge.verify.environment import prove_import
from vllm_forge.verify.generation import prove_generation

STUB = "lib64/stubs/libcuda.so"
SITE_PACKAGES = """
import importlib.util, json, os, sysconfig
torch = importlib.util.find_spec("torch")
here = os.path.dirname(os.path.dirname(torch.origin)) if torch and torch.origin else None
print(json.dumps(here or sysconfig.get_paths()["purelib"]))
"""
"""Where torch lies: in the environment, or where an interpreter lends it (nothing is imported)."""


@dataclass(frozen=True, slots=True)
class VerifyDocument:
    """cli.md's `verify` document; `text` is what the tiny model said."""

    status: Literal["passed", "failed"]
    checks: tuple[Check, ...]
    environment: str
    text: str | None = None


def verify(
    *,
    env: Path | None = None,
    generate: bool = True,
    common: Common = Common(),  # noqa: B008 -- frozen
) -> int:
    """Prove what was built: symbols, import, version, location, and text from a tiny model.

    Parameters
    ----------
    env
        The environment; else the one built last.
    generate
        Run the engine on a tiny model that is made on the spot.
    """
    home = common.place
    document = verify_document(find_built(env, home), home, generate=generate)
    show_checks(document, common)
    return exit_code_of(document)


def verify_document(built: Built, home: Home, *, generate: bool) -> VerifyDocument:
    """Every check, in the order of what stands on what; generation only when vLLM imports."""
    logs = home.logs(built.key)
    python = Path(built.python)
    said = run_command([python, "-I", "-c", SITE_PACKAGES])
    if said.code != 0:
        raise Problem(
            f"{python} does not run",
            causes=tuple(said.stderr.strip().splitlines()[-1:]),
            hints=("vllm-forge build makes the environment again",),
        )
    site_packages = Path(json.loads(said.stdout))
    work_in = home.path / "scratch"
    work_in.mkdir(parents=True, exist_ok=True)
    checks = [*prove_present(built), *prove_specialized(built)]
    present = [Path(path) for path in built.extensions if Path(path).exists()]
    stub = Path(built.toolkit) / STUB if built.toolkit else None
    checks += prove_binaries(present, site_packages, built.gpu_arch, run_command, stub)
    checks += prove_abis(built, present)
    checks += prove_gpu_code(built, present, run_command)
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / "verify.log"
    log.unlink(missing_ok=True)
    long_run = run_in_group(log)
    checks += prove_import(
        python, expected=built.version, tree=Path(built.tree), run=long_run, cwd=work_in
    )
    imports = prove_imports(built, present, long_run, work_in)
    checks += imports.checks
    text: str | None = None
    reason = why_not_generate(built, checks, imports)
    if generate and reason is not None:
        checks.append(Check("generate:tiny-llama", CheckStatus.SKIPPED, f"not asked: {reason}"))
    elif generate:
        check, generated = prove_generation(
            python,
            home.path / "scratch" / f"tiny-llama-{built.key}",
            cpu=built.device == "cpu",
            environ=environment(),
            run=long_run,
            cwd=work_in,
        )
        checks.append(check)
        text = generated.text if generated else None
    failed = any(check.status is CheckStatus.FAILED for check in checks)
    return VerifyDocument("failed" if failed else "passed", tuple(checks), built.environment, text)


def why_not_generate(built: Built, checks: Sequence[Check], imports: Imports) -> str | None:
    """What makes running the engine pointless; None where it should work."""
    if any(check.status is CheckStatus.FAILED for check in checks):
        return "an earlier check failed"
    if built.device == "cuda" and imports.devices == 0:
        return f"no GPU that torch can use here: {imports.why}"
    return None


def show_checks(document: VerifyDocument, common: Common) -> None:
    """The document on stdout, or the same for people."""
    if common.json:
        put_json(document)
    elif not common.quiet:
        show(render_checks(document.checks))


def exit_code_of(document: VerifyDocument) -> int:
    return ExitCode.DONE if document.status == "passed" else ExitCode.FAILED
