"""The ways to the world, opened once and handed to whoever needs them."""

from dataclasses import dataclass, field

from vllm_forge.records.doors import RunCommand
from vllm_forge.records.event import Emit
from vllm_forge.records.home import Home
from vllm_forge.run.index import IndexSettings
from vllm_forge.run.network import Network
from vllm_forge.run.store.store import Store


@dataclass(frozen=True, slots=True)
class Doors:
    """The ways to the world that steps need; a store without layers keeps nothing."""

    home: Home
    settings: IndexSettings
    network: Network
    run: RunCommand
    emit: Emit
    environ: dict[str, str]
    offline: bool
    store: Store = field(default_factory=Store)
