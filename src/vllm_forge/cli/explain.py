"""`explain`: the cause of a failed log, the line that proves it, and what to do."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any

from cyclopts import Parameter

from vllm_forge.cli.common import Common, put_json, show
from vllm_forge.diagnose.explain import explain as explain_log
from vllm_forge.diagnose.sample import log_lines
from vllm_forge.probe import parse_machine, read_machine
from vllm_forge.records.codec import parse_json
from vllm_forge.records.finding import Finding
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.process import run_command
from vllm_forge.show.findings import render_findings

UNKNOWN_CODE = "unknown-failure"


@dataclass(frozen=True, slots=True)
class ExplainDocument:
    """cli.md's `explain` document, the first cause first."""

    findings: tuple[Finding, ...]


def explain(
    log: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    machine: Path | None = None,
    plan: Path | None = None,
    common: Common = Common(),  # noqa: B008 -- frozen
) -> None:
    """Name the cause of a failed build, install, import or run, the proof, and the fix.

    Parameters
    ----------
    log
        The log's path; - reads stdin.
    machine
        Advise for the machine in FILE instead of this one.
    plan
        The plan that was executed, as `plan --json` prints it.
    """
    facts = read_machine(run_command, home=common.place.path) if machine is None else None
    if machine is not None:
        facts = parse_machine(_read(machine), str(machine))
    planned = None if plan is None else parse_json(_read(plan), dict[str, Any], origin=str(plan))
    with _opened(log) as lines:
        findings = explain_log(log_lines(lines), machine=facts, plan=planned)
    if common.json:
        put_json(ExplainDocument(findings))
    elif not common.quiet:
        show(render_findings(findings))


def explain_own(log: Path) -> tuple[Finding, ...]:
    """Say on stderr what our own failed step's log means here; () when it adds nothing."""
    try:
        with log.open("rb") as lines:
            machine = read_machine(run_command, home=log.parent)
            findings = explain_log(log_lines(lines), machine=machine)
    except OSError:
        return ()
    known = tuple(finding for finding in findings if finding.code != UNKNOWN_CODE)
    if known:
        show(render_findings(known), err=True)
    return known


@contextmanager
def _opened(log: str) -> Iterator[IO[bytes]]:
    if log == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(log).open("rb") as lines:
            yield lines
    except OSError as error:
        raise Problem(f"{log}: {error.strerror}", exit_code=ExitCode.BAD_INPUT) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}", exit_code=ExitCode.BAD_INPUT) from error
