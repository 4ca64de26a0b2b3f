"""What `explain` found, for a terminal of any width."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from vllm_forge.records.finding import Finding
from vllm_forge.show.doctor import render_finding

NOTHING = "No failure found in this log."


def render_findings(findings: Sequence[Finding], *, log: str | None = None) -> RenderableType:
    """First cause first, a block for each; then where the whole log lies."""
    blocks: list[RenderableType] = [
        Padding(render_finding(finding), (0 if index == 0 else 1, 0, 0, 0))
        for index, finding in enumerate(findings)
    ]
    if not findings:
        blocks.append(Text(NOTHING))
    if log is not None:
        blocks.append(Text(f"log: {log}", style="dim", overflow="fold"))
    return Group(*blocks)
