"""Findings in a few lines: evidence from a model of ten thousand layers stays readable."""

from collections.abc import Sequence

from vllm_forge.checkpoint.trouble import shown
from vllm_forge.records.finding import Finding, Severity

MOST_LINES = 5


def some(lines: Sequence[str]) -> tuple[str, ...]:
    """The first lines, and how many more there are."""
    few = tuple(shown(line) for line in lines[:MOST_LINES])
    rest = len(lines) - len(few)
    return (*few, f"… and {rest} more") if rest else few


def finding(
    code: str, severity: Severity, cause: str, evidence: Sequence[str], *fix: str
) -> Finding:
    return Finding(code, severity, cause, some(evidence), fix)
