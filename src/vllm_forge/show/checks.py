"""What was proven, on the screen."""

from collections.abc import Sequence

from rich.text import Text

from vllm_forge.records.check import Check, CheckStatus

MARKS = {
    CheckStatus.PASSED: ("✓", "green"),
    CheckStatus.FAILED: ("✗", "bold red"),
    CheckStatus.SKIPPED: ("·", "dim"),
}


def render_checks(checks: Sequence[Check]) -> Text:
    """A line for each check; the evidence beneath those that failed."""
    text = Text()
    for check in checks:
        mark, style = MARKS[check.status]
        text.append(f"{mark} ", style=style).append(f"{check.name}: {check.detail}\n")
        if check.status is CheckStatus.FAILED:
            for line in check.evidence:
                text.append(f"    {line}\n", style="dim")
    text.rstrip()
    return text
