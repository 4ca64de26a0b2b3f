"""From a failed log to the causes, first cause first."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from vllm_forge.diagnose.blocks import DONE, Block, Kind, cut_blocks
from vllm_forge.diagnose.clues import read_clues
from vllm_forge.diagnose.matching import Found, find_all, is_hard
from vllm_forge.diagnose.registry import SIGNATURES, UNKNOWN
from vllm_forge.diagnose.sample import sample_lines
from vllm_forge.diagnose.signature import Names, Scene
from vllm_forge.diagnose.text import read_line
from vllm_forge.records.finding import Finding, Severity
from vllm_forge.records.machine import Machine

MOST_FINDINGS = 3
MOST_HARD_BLOCKS = 400
MOST_EVIDENCE_LINES = 12
WRAPPERS = re.compile(
    r"Engine core initialization failed|EngineDeadError|Engine process failed to start"
    r"|subprocess-exited-with-error"
    r"|metadata-generation-failed|Failed (?:to build|building wheel)|Could not build wheels"
    r"|non-zero exit status"
    r"|Error compiling objects for extension|RayTaskError|ChildFailedError|SystemExit"
    r"|KeyboardInterrupt"
    r"|did not run successfully|error: command '|WorkerProc initialization failed"
    r"|ProcessRaisedException|RPCServer"
    r" process died"
)
"""What only reports a failure that was said before."""
TESTS_PASSED = re.compile(r"=+ (?!.*\b\d+ (?:failed|errors?)\b).*\b\d+ passed\b.* in [\d.]+s")
OVERCOME = frozenset({Kind.EXCEPTION, Kind.COMPILER, Kind.LINKER})
STOPPED = re.compile(
    r"ninja: build stopped|subprocess-exited-with-error|Failed building wheel|Configuring"
    r" incomplete"
)


def explain(
    lines: Iterable[bytes | str],
    *,
    machine: Machine | None = None,
    plan: Mapping[str, object] | None = None,
) -> tuple[Finding, ...]:
    """Findings of a log, ordered by cause, at most three; () for one in which nothing failed.

    Each item of `lines` is one line, with or without its newline; `sample.log_lines` reads a file
    so. `plan` is the document that `plan --json` prints.
    """
    cleaned = tuple(chain.from_iterable(read_line(line) for line in sample_lines(lines)))
    blocks = _failing(cut_blocks(cleaned))
    scene = Scene(machine or Machine(), read_clues(line.text for line in cleaned), plan or {})
    found = _ordered(find_all(SIGNATURES, blocks))
    if found:
        return tuple(_finding(match, scene) for match in found[:MOST_FINDINGS])
    return _unknown([block for block in blocks if is_hard(block)])


def _failing(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """Without what was overcome: a passed test run, errors before work that was then done."""
    kept: list[Block] = []
    stopped = False
    for block in blocks:
        text = block.text
        stopped = stopped or (is_hard(block) and STOPPED.search(text) is not None)
        if TESTS_PASSED.match(text):
            kept.clear()
        elif DONE.match(text) and block.lines[0].indent == 0 and not stopped:
            kept = [before for before in kept if before.kind not in OVERCOME]
        kept.append(block)
    hard = [block for block in kept if is_hard(block)]
    dropped = {id(block) for block in hard[MOST_HARD_BLOCKS : -MOST_HARD_BLOCKS // 4]}
    return tuple(block for block in kept if id(block) not in dropped)


def _ordered(found: Sequence[Found]) -> list[Found]:
    """One for each code, consequences left out, in the order in which the log tells them."""
    rank = {id(signature): index for index, signature in enumerate(SIGNATURES)}
    first: dict[str, int] = {}
    best: dict[str, Found] = {}
    for match in found:
        code = match.signature.code
        first.setdefault(code, match.block.number)
        known = best.get(code)
        if known is None:
            best[code] = match
        elif rank[id(match.signature)] < rank[id(known.signature)]:
            best[code] = replace(match, names=_told(match.names, known.names))
        else:
            best[code] = replace(known, names=_told(known.names, match.names))
    codes = set(best)
    kept = [
        match
        for code, match in best.items()
        if not (match.signature.yields_to & (codes - {code}))
        and not ("*" in match.signature.yields_to and len(codes) > 1)
    ]
    return sorted(kept, key=lambda match: first[match.signature.code])


def _told(names: Names, others: Names) -> Names:
    """What one place of the log left open, filled in from another of the same failure."""
    return {key: names.get(key) or others.get(key, "") for key in {**others, **names}}


def _finding(match: Found, scene: Scene) -> Finding:
    cause = match.signature.cause
    said = cause.format_map(match.names) if isinstance(cause, str) else cause(match.names, scene)
    return Finding(
        match.signature.code,
        match.signature.severity,
        re.sub(r" +([.:,)](?:\s|$))", r"\1", " ".join(said.split())),
        match.evidence,
        match.signature.fix(match.names, scene),
    )


def _unknown(hard: Sequence[Block]) -> tuple[Finding, ...]:
    telling = [block for block in hard if not WRAPPERS.search(block.lines[block.headline].text)]
    if not hard:
        return ()
    block = (telling or list(hard))[0]
    lines = [line.raw for line in block.lines[block.headline :] if line.text]
    return (
        Finding(
            UNKNOWN,
            Severity.ERROR,
            f"No known cause. The first failure is on line {block.lines[block.headline].number}.",
            tuple(lines[:MOST_EVIDENCE_LINES]),
            (
                (
                    "Search for the quoted lines in vLLM's issues, and add this log to a report: it"
                    " becomes a"
                    " test case."
                ),
            ),
        ),
    )
