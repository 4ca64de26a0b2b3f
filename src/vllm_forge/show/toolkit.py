"""Toolkits for a terminal of any width."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vllm_forge.records.toolkit import ListedToolkit, Offer
from vllm_forge.show.units import render_bytes

NONE_HERE = "no CUDA toolkit is here; `vllm-forge toolkit add 12.4` makes one without root"


def render_toolkits(toolkits: Sequence[ListedToolkit]) -> RenderableType:
    """One line for each: version, where from, whether it is whole, its folder."""
    if not toolkits:
        return Text(NONE_HERE)
    table = Table.grid(padding=(0, 2))
    for style in ("bold", "", "", "dim"):
        table.add_column(style=style, no_wrap=style != "dim", overflow="fold")
    for toolkit in toolkits:
        table.add_row(
            toolkit.nvcc or toolkit.version,
            toolkit.provider,
            Text("whole") if not toolkit.missing else Text("not whole", style="yellow"),
            toolkit.path + (f" · {render_bytes(toolkit.bytes)}" if toolkit.bytes else ""),
        )
    lacks = [
        Text(f"{toolkit.path} lacks {', '.join(toolkit.missing)}", style="yellow")
        for toolkit in toolkits
        if toolkit.missing
    ]
    return Group(table, *lacks)


def render_offer(offer: Offer, folder: Path) -> RenderableType:
    """What `toolkit add --dry-run` says."""
    table = Table.grid(padding=(0, 2))
    table.add_column(overflow="fold")
    table.add_column(justify="right", no_wrap=True)
    for archive in offer.archives:
        table.add_row(archive.name, "" if archive.size is None else render_bytes(archive.size))
    return Group(
        Text(f"CUDA {offer.nvcc} from {offer.origin}"),
        table,
        Text(
            f"{render_bytes(offer.download_bytes)} to fetch, "
            f"about {render_bytes(offer.unpacked_bytes)} unpacked, into {folder}"
        ),
    )
