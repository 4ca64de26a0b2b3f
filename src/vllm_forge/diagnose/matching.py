"""Where the signatures meet the blocks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from re import Match

from vllm_forge.diagnose.blocks import HARD, Block
from vllm_forge.diagnose.signature import Names, Signature
from vllm_forge.records.finding import Severity

LONGEST_EVIDENCE = 600
MOST_EVIDENCE_LINES = 6


@dataclass(frozen=True, slots=True)
class Found:
    """One signature in one block. `evidence` are lines of the log, as they stand there."""

    signature: Signature
    block: Block
    names: Names
    evidence: tuple[str, ...]


def find_all(signatures: Iterable[Signature], blocks: Sequence[Block]) -> tuple[Found, ...]:
    """The first place of each signature, in the order of the log.

    Where nothing failed, only what is wrong without failing is looked for.
    """
    hard = [block for block in blocks if is_hard(block)]
    if not hard:
        signatures = [known for known in signatures if known.severity is Severity.WARNING]
    texts = [(block, block.text) for block in blocks]
    found = [match for signature in signatures if (match := _find(signature, texts, hard))]
    return tuple(sorted(found, key=lambda match: match.block.number))


def is_hard(block: Block) -> bool:
    return block.kind in HARD and not block.quiet


def _find(
    signature: Signature, texts: Sequence[tuple[Block, str]], hard: Sequence[Block]
) -> Found | None:
    for block, text in texts:
        if block.kind not in signature.kinds or (block.quiet and signature.before is None):
            continue
        match = signature.pattern.search(text)
        if match is None or not _holds(signature, match, block, text):
            continue
        if signature.before and not _follows(signature, block, hard):
            continue
        return Found(signature, block, _names(match), _evidence(block, text, match))
    return None


def _holds(signature: Signature, match: Match[str], block: Block, text: str) -> bool:
    if signature.also and not signature.also.search(f"{block.within}\n{text}"):
        return False
    if signature.unless and signature.unless.search(text):
        return False
    return signature.accept is None or signature.accept(_names(match))


def _follows(signature: Signature, block: Block, hard: Sequence[Block]) -> bool:
    return any(
        later.number >= block.number and signature.before and signature.before.search(later.text)
        for later in hard
    )


def _names(match: Match[str]) -> Names:
    return {name: value or "" for name, value in match.groupdict().items()}


def _evidence(block: Block, text: str, match: Match[str]) -> tuple[str, ...]:
    """The lines the match touches, preceded by what ninja says failed."""
    first = text.count("\n", 0, match.start())
    last = first + text.count("\n", match.start(), match.end())
    touched = [line for line in block.lines[first : last + 1] if line.text]
    lines = [_shorten(line.raw) for line in touched[:MOST_EVIDENCE_LINES]]
    return (_shorten(block.within), *lines) if block.within else tuple(lines)


def _shorten(line: str) -> str:
    if len(line) <= LONGEST_EVIDENCE:
        return line
    half = LONGEST_EVIDENCE // 2
    return f"{line[:half]} ... {line[-half:]}"
