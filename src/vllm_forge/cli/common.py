"""What every verb shares: options, the two output streams, and the facts a plan starts from."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console, RenderableType

from vllm_forge.records.codec import render_json
from vllm_forge.records.home import Home
from vllm_forge.run.home import choose_home


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """Options of every verb."""

    json: Annotated[bool, Parameter(negative="")] = False
    """Print one JSON document on stdout, and nothing else there."""
    quiet: Annotated[bool, Parameter(negative="")] = False
    """Say nothing but errors."""
    home: Path | None = None
    """Folder for everything the forge keeps (else VLLM_FORGE_HOME, else the cache folder)."""

    @property
    def place(self) -> Home:
        return Home(choose_home(self.home))


def say(text: str) -> None:
    """A line for people: stderr."""
    sys.stderr.write(f"{text}\n")


def put(text: str) -> None:
    """Data: stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def show(thing: RenderableType, *, err: bool = False) -> None:
    """A rendered thing for people; where nobody watches, lines are not folded."""
    console = Console(stderr=err)
    console.print(thing, soft_wrap=not console.is_terminal)


def put_json(document: object) -> None:
    put(render_json(document))


def environment() -> dict[str, str]:
    return dict(os.environ)
