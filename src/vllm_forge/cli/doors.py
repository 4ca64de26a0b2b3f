"""Open the doors once: home, index, network, processes, events."""

from dataclasses import replace
from pathlib import Path
from time import monotonic

from vllm_forge.cli.common import environment
from vllm_forge.records.event import Emit, Note
from vllm_forge.records.home import Home
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.wishes import Wishes
from vllm_forge.run.doors import Doors
from vllm_forge.run.index import read_index_settings
from vllm_forge.run.network import Network
from vllm_forge.run.process import run_command
from vllm_forge.run.store.opening import open_store


def open_doors(home: Home, emit: Emit, *, offline: bool) -> Doors:
    """Nothing is asked of the network yet."""
    environ = environment()
    return Doors(
        home=home,
        settings=read_index_settings(environ, run_command, home=Path.home()),
        network=Network(offline=offline),
        run=run_command,
        emit=emit,
        environ=environ,
        offline=offline,
    )


def with_store(doors: Doors, named: str | None) -> Doors:
    """The artifact store besides: the home's own, then those of --store or VLLM_FORGE_STORE."""

    def note(message: str) -> None:
        doors.emit(Note(monotonic(), message))

    store = open_store(doors.home, named, doors.environ, note=note, only_folders=doors.offline)
    return replace(doors, store=store)


def open_doors_of(wishes: Wishes, home: Home, emit: Emit) -> Doors:
    """As the wishes say: offline or not, and the folders packages come from besides the index.

    Raises:
        Problem: exit 2 for a folder that is not there.
    """
    doors = open_doors(home, emit, offline=wishes.offline)
    for folder in wishes.find_links:
        if not folder.is_dir():
            raise Problem(f"--find-links {folder}: no such folder", exit_code=ExitCode.USAGE)
    links = tuple(str(folder.absolute()) for folder in wishes.find_links)
    return replace(doors, settings=replace(doors.settings, given_links=links))
