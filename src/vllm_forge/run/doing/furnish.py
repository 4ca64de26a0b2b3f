"""Steps that furnish the environment: torch, the requirements, the editable install."""

from dataclasses import replace
from pathlib import Path

from vllm_forge.records.plan import Environment, Register, Requirements
from vllm_forge.run.doing.site import Done, Site, requirement_lines, without_left_out
from vllm_forge.run.environment import (
    CONSTRAINTS,
    install_requirements,
    make_environment,
    package_folders,
    prove_torch,
    python_of,
)
from vllm_forge.run.process import run_in_group
from vllm_forge.run.receipts import made
from vllm_forge.run.register import register_editable


def furnish(action: Environment | Requirements | Register, site: Site) -> Done:
    match action:
        case Environment():
            return _environment(action, site)
        case Requirements():
            return _requirements(action, site)
        case Register():
            return _register(action, site)


def _environment(action: Environment, site: Site) -> Done:
    uv = site.open_uv()
    path = make_environment(action, uv)
    uv.on_line("importing torch once")
    proof = prove_torch(action, run_in_group(uv.log))
    facts = {
        "torch": action.torch,
        "torch_version": proof.version,
        "torch_cuda": proof.cuda,
        "torch_cxx11_abi": "new" if proof.cxx11_abi else "old",
        "torch_folder": proof.folder,
    }
    abi = f"the {facts['torch_cxx11_abi']} C++ ABI"
    return Done(
        f"torch {proof.version} imports, CUDA {proof.cuda or 'none'}, {abi}",
        (
            *(made(one) for one in (python_of(path), path / CONSTRAINTS, *package_folders(path))),
            made(Path(proof.folder) / "version.py", hashed=True),  # a torch that was swapped
        ),
        facts,
    )


def _requirements(action: Requirements, site: Site) -> Done:
    lines, skipped = without_left_out(site.plan, action.lines)
    for line, place in skipped:
        site.note(f"{line}: left out, as {place} leaves it out of the package's requirements")
    resolved = install_requirements(
        replace(action, lines=lines),
        site.open_uv(),
        torch=site.facts["torch"] or "",
        published=site.facts.get("published"),
        on_note=site.note,
        run=site.doors.run,
    )
    count = sum(1 for line in resolved.read_text().splitlines() if line[:1].isalnum())
    folders = package_folders(Path(action.environment))
    return Done(
        f"{count} package{'s'[: count != 1]}, their hashes in {resolved}",
        (made(resolved), *(made(folder) for folder in folders)),
    )


def _register(action: Register, site: Site) -> Done:
    requires = (f"torch=={site.facts['torch']}", *requirement_lines(site.plan))
    written = register_editable(action, requires, site.open_uv(), site.doors.run)
    return Done(
        f"vllm {action.version}, editable at {action.source}",
        tuple(made(path) for path in written),
    )
