"""Every kept log, against every signature: what it must say, and nothing beside it."""

import json
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from vllm_forge.diagnose.blocks import cut_blocks
from vllm_forge.diagnose.explain import explain
from vllm_forge.diagnose.matching import find_all
from vllm_forge.diagnose.registry import CODES, SIGNATURES, UNKNOWN
from vllm_forge.diagnose.sample import log_lines, sample_lines
from vllm_forge.diagnose.signature import Signature
from vllm_forge.diagnose.text import read_line
from vllm_forge.records.finding import Finding

LOGS = Path(__file__).parents[2] / "logs"
PATHS = sorted(LOGS.glob("*/*.log"))
CASES = [json.loads(line) for line in (LOGS / "failures-dev.jsonl").read_text().splitlines()]

MESSAGES = [json.loads(line) for line in (LOGS / "variants.jsonl").read_text().splitlines()]
"""Messages as tools print them, without their logs; "" among the codes: nothing need be said."""


@dataclass(frozen=True)
class Case:
    """`codes`: what the first finding may say; `also`: what a later one may."""

    lines: tuple[bytes, ...]
    codes: frozenset[str]
    also: frozenset[str]


def read_case(path: Path) -> Case:
    expected = json.loads(path.with_suffix(".expected.json").read_text())
    with path.open("rb") as stream:
        lines = tuple(log_lines(stream))
    return Case(lines, frozenset(expected["codes"]), frozenset(expected["also"]))


def name(path: Path) -> str:
    return str(path.relative_to(LOGS).with_suffix(""))


@pytest.mark.parametrize("path", PATHS, ids=name)
def test_a_log_is_explained_by_its_own_code_and_no_other(path: Path) -> None:
    case = read_case(path)
    findings = explain(case.lines)
    if not case.codes:
        assert findings == ()
        return
    assert findings, "a failed log without a finding"
    assert findings[0].code in case.codes
    assert {finding.code for finding in findings} <= case.codes | case.also
    text = squeeze(b"".join(case.lines).decode(errors="replace"))
    for finding in findings:
        assert_well_said(finding, text)


def assert_well_said(finding: Finding, text: str) -> None:
    """Evidence is quoted from the log, but for spaces and what other tools put before a line."""
    assert finding.evidence
    assert finding.fix
    assert "{" not in finding.cause.replace("{'", "")
    for line in finding.evidence:
        assert all(squeeze(part) in text for part in line.split(" ... ")), line


def squeeze(text: str) -> str:
    return "".join(
        "".join(line.text.split())
        for raw in sample_lines(text.splitlines())
        for line in read_line(raw)
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["id"]))
def test_a_development_case_is_explained(case: dict[str, Any]) -> None:
    findings = explain(case["log"].splitlines())
    assert findings
    assert findings[0].code in case["codes"]
    evidence = squeeze("\n".join(findings[0].evidence))
    assert any(squeeze(line)[:40] in evidence for line in case["key_lines"])


@pytest.mark.parametrize("case", MESSAGES, ids=lambda case: "+".join(case["codes"]))
def test_a_message_is_read_wherever_it_stands(case: dict[str, Any]) -> None:
    findings = explain(case["log"].splitlines())
    assert (findings[0].code if findings else "") in case["codes"]


@cache
def matches() -> dict[int, frozenset[str]]:
    """Index of a signature → the logs in which it matches."""
    found: dict[int, set[str]] = {}
    logs = {name(path): read_case(path).lines for path in PATHS}
    logs |= {case["id"]: tuple(case["log"].encode().splitlines()) for case in CASES}
    for log, lines in logs.items():
        cleaned = chain.from_iterable(read_line(line) for line in sample_lines(lines))
        for match in find_all(SIGNATURES, cut_blocks(cleaned)):
            index = next(i for i, known in enumerate(SIGNATURES) if known is match.signature)
            found.setdefault(index, set()).add(log)
    return {index: frozenset(logs) for index, logs in found.items()}


@pytest.mark.parametrize(
    ("index", "signature"),
    list(enumerate(SIGNATURES)),
    ids=[f"{index}-{signature.code}" for index, signature in enumerate(SIGNATURES)],
)
def test_a_signature_is_proven_by_a_log(index: int, signature: Signature) -> None:
    codes = {name(path): read_case(path).codes for path in PATHS}
    codes |= {case["id"]: frozenset(case["codes"]) for case in CASES}
    proof = {log for log in matches().get(index, ()) if signature.code in codes[log]}
    assert proof, f"no log of {signature.code} is matched by {signature.pattern.pattern}"


def test_every_code_has_a_log() -> None:
    with_logs = {path.parent.name for path in PATHS}
    assert with_logs == set(CODES) | {"healthy"}
    assert UNKNOWN in with_logs


def test_twenty_codes_were_provoked_and_kept_whole() -> None:
    provoked = {
        path.parent.name
        for path in PATHS
        if json.loads(path.with_suffix(".expected.json").read_text())["source"].startswith(
            "provoked"
        )
    }
    assert len(provoked - {"healthy"}) >= 20
