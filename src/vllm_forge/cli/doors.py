"""Open the doors once: home, index, network, processes, events."""

from pathlib import Path

from vllm_forge.cli.common import environment
from vllm_forge.records.event import Emit
from vllm_forge.records.home import Home
from vllm_forge.run.doors import Doors
from vllm_forge.run.index import read_index_settings
from vllm_forge.run.network import Network
from vllm_forge.run.process import run_command


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
