"""`cache`: what the artifact store keeps, what it saved, and its upkeep."""

from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Annotated

from cyclopts import App, Parameter

from vllm_forge.cli.common import Common, put, put_json
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.store import StoreState
from vllm_forge.resolve.size import parse_age, parse_size
from vllm_forge.run.store.folder import FolderLayer
from vllm_forge.run.store.store import said_by
from vllm_forge.run.store.upkeep import Limits, prune, read_state, verify
from vllm_forge.show.store import render_store

cache = App(name="cache", result_action="return_value")


@dataclass(frozen=True, slots=True)
class CacheDocument:
    """cli.md's `cache` document."""

    cache: StoreState


@cache.command
def stats(*, store: Path | None = None, common: Common = Common()) -> int:  # noqa: B008 -- frozen
    """What the store holds, and the compile time it saved.

    Parameters
    ----------
    store
        The folder of another store than the home's.
    """
    return _answer(read_state(_layer(store, common)), common)


@cache.command(name="prune")
def prune_store(
    *,
    max_size: str | None = None,
    older_than: str | None = None,
    store: Path | None = None,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False,
    common: Common = Common(),  # noqa: B008 -- frozen
) -> int:
    """Drop what was used longest ago, and whatever a killed build left half made.

    Parameters
    ----------
    max_size
        How much may stay, as 20GiB.
    older_than
        Drop what was not used for so long, as 30d, 12h or 2w.
    store
        The folder of another store than the home's.
    dry_run
        Say what would go, and stop.
    """
    limits = Limits(
        most_bytes=None if max_size is None else parse_size(max_size),
        oldest_seconds=None if older_than is None else parse_age(older_than),
    )
    layer = _layer(store, common)
    try:
        return _answer(prune(layer, limits, time(), dry_run=dry_run), common)
    except OSError as error:
        raise _failed(error, layer) from error


@cache.command(name="verify")
def verify_store(*, store: Path | None = None, common: Common = Common()) -> int:  # noqa: B008 -- frozen
    """Hash everything again, and drop what is damaged; exit 1 when something was.

    Parameters
    ----------
    store
        The folder of another store than the home's.
    """
    layer = _layer(store, common)
    try:
        state = verify(layer)
    except OSError as error:
        raise _failed(error, layer) from error
    _answer(state, common)
    return ExitCode.FAILED if state.corrupt else ExitCode.DONE


def _layer(store: Path | None, common: Common) -> FolderLayer:
    return FolderLayer(common.place.store if store is None else store.expanduser().absolute())


def _failed(error: OSError, layer: FolderLayer) -> Problem:
    return Problem(
        f"{layer.folder} cannot be written: {said_by(error)}",
        hints=("another folder: --store DIR",),
        exit_code=ExitCode.UNREACHABLE,
    )


def _answer(state: StoreState, common: Common) -> int:
    if common.json:
        put_json(CacheDocument(state))
    elif not common.quiet:
        for line in render_store(state):
            put(line)
    return ExitCode.DONE
