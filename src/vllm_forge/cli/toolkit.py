"""`toolkit`: CUDA toolkits of this machine; make one without root, remove one the forge made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

from vllm_forge.cli.common import Common, put, put_json, say, show
from vllm_forge.cli.doors import open_doors
from vllm_forge.cli.watching import watching
from vllm_forge.records.machine import Toolkit
from vllm_forge.records.problem import ExitCode
from vllm_forge.records.toolkit import ListedToolkit, Offer
from vllm_forge.run.toolkits.choosing import find_offer, list_toolkits, remove_toolkit
from vllm_forge.run.toolkits.making import make_toolkit, toolkits_of
from vllm_forge.run.toolkits.provider import Asked
from vllm_forge.show.toolkit import render_offer, render_toolkits

toolkit = App(name="toolkit", result_action="return_value")


@dataclass(frozen=True, slots=True)
class ToolkitsDocument:
    toolkits: tuple[ListedToolkit, ...]


@dataclass(frozen=True, slots=True)
class ToolkitDocument:
    """`offer` is None for a toolkit that was here already."""

    status: Literal["made", "present", "offered", "removed"]
    path: str
    offer: Offer | None = None


@toolkit.command(name="list")
def list_all(*, common: Common = Common()) -> int:  # noqa: B008 -- frozen
    """Every toolkit of this machine, and whether it has all that a vLLM build reads."""
    doors = open_doors(common.place, lambda _event: None, offline=True)
    found = list_toolkits(doors)
    if common.json:
        put_json(ToolkitsDocument(found))
    elif not common.quiet:
        show(render_toolkits(found))
    return ExitCode.DONE


@toolkit.command
def add(
    version: str,
    /,
    *,
    provider: str | None = None,
    url: str | None = None,
    offline: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False,
    common: Common = Common(),  # noqa: B008 -- frozen
) -> int:
    """Make sure a CUDA toolkit of VERSION is here; what is missing is made without root.

    Parameters
    ----------
    version
        As far as it goes: 13, 12.4 or 12.4.131.
    provider
        system, debian, pypi, redist or conda; else the first that has it, in this order.
    url
        The folder of redistributables (redist) or the Debian mirror (debian) to use.
    offline
        Use nothing but what was fetched before.
    dry_run
        Say what would be fetched, and stop.
    """
    with watching(quiet=common.quiet or dry_run) as emit:
        doors = open_doors(common.place, emit, offline=offline)
        answer = find_offer(Asked(version, url), doors, provider)
        if isinstance(answer, Toolkit):
            document = ToolkitDocument("present", answer.path)
        elif dry_run:
            path = toolkits_of(doors.home) / answer.offer.name
            document = ToolkitDocument("offered", str(path), answer.offer)
        else:
            made = make_toolkit(answer, doors)
            document = ToolkitDocument("made", str(made), answer.offer)
    if common.json:
        put_json(document)
    elif dry_run and document.offer is not None:
        show(render_offer(document.offer, Path(document.path)))
    else:
        put(document.path)
    return ExitCode.DONE


@toolkit.command
def remove(
    version: str,
    /,
    *,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False,
    common: Common = Common(),  # noqa: B008 -- frozen
) -> int:
    """Remove a toolkit that the forge made.

    Parameters
    ----------
    version
        Its version, or its folder's name where several have that version.
    dry_run
        Say which it would be, and stop.
    """
    doors = open_doors(common.place, lambda _event: None, offline=True)
    folder = remove_toolkit(version, doors, dry_run=dry_run)
    if common.json:
        put_json(ToolkitDocument("offered" if dry_run else "removed", str(folder)))
    elif not common.quiet:
        say(f"{'would remove' if dry_run else 'removed'} {folder}")
    return ExitCode.DONE
