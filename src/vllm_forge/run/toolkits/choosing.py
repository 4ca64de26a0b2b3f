"""Which provider makes a wished toolkit, and what is here already."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from vllm_forge.probe.toolkit_parts import missing_parts
from vllm_forge.records.decision import Refused
from vllm_forge.records.machine import Toolkit
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.toolkit import ListedToolkit
from vllm_forge.resolve.cuda_facts import minor_of
from vllm_forge.resolve.toolkit import matches
from vllm_forge.run.doors import Doors
from vllm_forge.run.lock import locked
from vllm_forge.run.toolkits.conda import offer_conda
from vllm_forge.run.toolkits.debian import offer_debian
from vllm_forge.run.toolkits.making import (
    read_toolkit_receipt,
    toolkits_of,
    unfinished_of,
)
from vllm_forge.run.toolkits.provider import Asked, Provider, Recipe
from vllm_forge.run.toolkits.pypi import offer_pypi
from vllm_forge.run.toolkits.redist import offer_redist
from vllm_forge.run.toolkits.system import find_toolkits, offer_system

PROVIDERS: Final[Mapping[str, Provider]] = {
    "system": offer_system,
    "debian": offer_debian,
    "pypi": offer_pypi,
    "redist": offer_redist,
    "conda": offer_conda,
}
"""In the order they are asked: what costs nothing first."""


def find_offer(asked: Asked, doors: Doors, provider: str | None = None) -> Recipe | Toolkit:
    """The first provider's answer that is none of refusal, or the named provider's.

    Raises:
        Problem: exit 3 with every provider's reasons, exit 2 for a provider there is not.
    """
    if provider is not None and provider not in PROVIDERS:
        raise Problem(
            f"there is no provider {provider}",
            hints=(f"one of: {', '.join(PROVIDERS)}",),
            exit_code=ExitCode.USAGE,
        )
    kept = None if provider is None else _kept(asked.version, provider, doors)
    if kept is not None:
        return kept
    causes: list[str] = []
    ways: list[str] = []
    for name in PROVIDERS if provider is None else (provider,):
        try:
            answer = PROVIDERS[name](asked, doors)
        except Problem as problem:
            if provider is not None:
                raise
            causes.append(f"{name}: {'; '.join((problem.message, *problem.causes))}")
            ways += problem.hints
            continue
        if not isinstance(answer, Refused):
            return answer
        causes += [f"{name}: {reason.fact} ({reason.source})" for reason in answer.because]
        ways += answer.ways_out
    raise Problem(
        f"no provider has CUDA {asked.version}",
        causes=tuple(causes),
        hints=tuple(dict.fromkeys(ways)),
        exit_code=ExitCode.REFUSED,
    )


def list_toolkits(doors: Doors) -> tuple[ListedToolkit, ...]:
    """Every toolkit of this machine, in the order the plan considers them."""
    listed = []
    for toolkit in find_toolkits(doors):
        receipt = read_toolkit_receipt(Path(toolkit.path))
        listed.append(
            ListedToolkit(
                version=toolkit.version,
                path=toolkit.path,
                provider="system" if receipt is None else receipt.provider,
                missing=missing_parts(Path(toolkit.path)),
                nvcc=toolkit.nvcc,
                bytes=None if receipt is None else receipt.bytes,
            )
        )
    return tuple(listed)


def remove_toolkit(wish: str, doors: Doors, *, dry_run: bool = False) -> Path:
    """Remove the one toolkit of the forge's that `wish` names: a version or a folder's name.

    Raises:
        Problem: exit 2 when none or several fit; other people's toolkits are never touched.
    """
    ours = {folder.name: folder for folder in sorted(toolkits_of(doors.home).glob("cuda-*"))}
    fit = [name for name in ours if wish == name or _is_version(name, wish)]
    if len(fit) != 1:
        raise Problem(
            f"{len(fit) or 'none'} of the forge's toolkits {'are' if fit else 'is'} {wish}",
            causes=(f"there: {', '.join(fit or ours) or 'none'}",),
            hints=tuple(f"vllm-forge toolkit remove {name}" for name in fit),
            exit_code=ExitCode.USAGE,
        )
    folder = ours[fit[0]]
    if dry_run:
        return folder
    with locked(doors.home.lock(folder.name), on_wait=lambda _message: None):
        away = unfinished_of(doors.home) / f"{folder.name}.removed"
        shutil.rmtree(away, ignore_errors=True)
        away.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(away)
        shutil.rmtree(away)
    return folder


def _kept(version: str, provider: str, doors: Doors) -> Toolkit | None:
    """What this provider made before, if it is whole; its source is not asked then."""
    for folder in sorted(toolkits_of(doors.home).glob("cuda-*"), reverse=True):
        receipt = read_toolkit_receipt(folder)
        if receipt is None or receipt.provider != provider or missing_parts(folder):
            continue
        made = Toolkit(minor_of(receipt.nvcc), str(folder), receipt.nvcc)
        if matches(made, version):
            return made
    return None


def _is_version(name: str, wish: str) -> bool:
    """`cuda-12.4.131-debian` is 12, 12.4 and 12.4.131.

    >>> [_is_version("cuda-12.4.131-debian", wish) for wish in ("12.4", "12.4.1", "debian")]
    [True, False, False]
    """
    nvcc = name.split("-")[1] if name.count("-") > 1 else ""
    return wish[:1].isdigit() and matches(Toolkit(nvcc, name, nvcc), wish)
