"""What every way to a toolkit answers for a wish: here it is, how to make it, or why not."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from vllm_forge.records.decision import Refused
from vllm_forge.records.machine import Toolkit
from vllm_forge.records.toolkit import Offer
from vllm_forge.run.doors import Doors

SUBJECT: Final = "toolkit"

Tell = Callable[[int], None]
"""Bytes that have come so far."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user wants: a version as far as it goes (12, 12.4, 12.4.131).

    `url` is the redist folder or the Debian mirror to use instead of the configured one.
    """

    version: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a provider makes what it offers.

    `fill(prefix, tell)` fetches the parts and lays them into `prefix`, an empty folder; it raises
    `Problem` with exit 4 for the network and the disk, 5 for a damaged archive. `forget()` drops
    what was fetched, once the toolkit is whole.
    """

    offer: Offer
    fill: Callable[[Path, Tell], None]
    forget: Callable[[], None]


class Provider(Protocol):
    """One source of toolkits."""

    def __call__(self, asked: Asked, doors: Doors) -> Recipe | Toolkit | Refused:
        """What is here already, what can be made, or why there is nothing.

        Raises:
            Problem: exit 4 when its source cannot be asked.
        """
