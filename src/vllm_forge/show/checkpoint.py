"""A checkpoint on the screen: what it is, what is wrong with it, which vLLM reads it."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from vllm_forge.records.checkpoint import (
    Act,
    Change,
    CheckpointFacts,
    DequantizedTensor,
    Shape,
    Verdict,
    VerdictWord,
)
from vllm_forge.records.finding import Finding
from vllm_forge.show.doctor import render_finding
from vllm_forge.show.units import render_bytes

STYLES = {
    VerdictWord.NATIVE: "green",
    VerdictWord.ARGUMENT: "cyan",
    VerdictWord.REPAIR: "yellow",
    VerdictWord.EMULATED: "yellow",
    VerdictWord.REFUSED: "red",
}
SHAPES = {
    Shape.FLAT: "quantization_config in config.json",
    Shape.FLAT_WITHOUT_METHOD: "quantization_config in config.json, without quant_method",
    Shape.NESTED: "quantization_config.quantization in config.json",
    Shape.HF_QUANT_CONFIG_ONLY: "hf_quant_config.json alone",
    Shape.SHADOWED: "hf_quant_config.json, behind a foreign quantization_config",
    Shape.NOT_MODELOPT: "not ModelOpt's",
    Shape.UNQUANTIZED: "none",
}
MOST_EXCLUDED = 4


def render_checkpoint(
    facts: CheckpointFacts, findings: Sequence[Finding], verdicts: Sequence[Verdict]
) -> RenderableType:
    """Facts, then findings, then a line for each release."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows_of(facts):
        table.add_row(name, Text(value))
    blocks: list[RenderableType] = [
        Padding(render_finding(finding), (1, 0, 0, 0)) for finding in findings
    ]
    if verdicts:
        blocks.append(Padding(render_verdicts(verdicts), (1, 0, 0, 0)))
    return Group(table, *blocks)


def rows_of(facts: CheckpointFacts) -> Iterator[tuple[str, str]]:
    """Subject and value; what the checkpoint does not have is left out."""
    yield "Model", " · ".join((*facts.architectures, facts.model_type or "")).strip(" ·")
    yield "Format", " · ".join(format_words(facts))
    if facts.layers:
        counts = Counter(facts.layers).most_common()
        yield "Layers", " · ".join(f"{number} {algorithm}" for algorithm, number in counts)
    if facts.producer or facts.producer_version:
        yield "Made by", f"{facts.producer or 'unknown'} {facts.producer_version or ''}".strip()
    yield "Metadata", SHAPES[facts.shape]
    if facts.kv_cache:
        yield "KV cache", facts.kv_cache
    if facts.excluded:
        rest = len(facts.excluded) - MOST_EXCLUDED
        more = f" and {rest} more" if rest > 0 else ""
        yield "Excluded", ", ".join(facts.excluded[:MOST_EXCLUDED]) + more
    if facts.parameters is not None:
        size = f"{render_bytes(facts.weight_bytes)} in {facts.shards} file"
        yield (
            "Weights",
            f"{count_words(facts.parameters)} parameters · {size}"
            + ("s" if facts.shards != 1 else ""),
        )
        share = Counter(facts.dtypes).most_common()
        yield "Bytes", " · ".join(f"{dtype} {render_bytes(size)}" for dtype, size in share)
    yield "Tokenizer", ", ".join(facts.tokenizer) or "none"
    if facts.remote_code:
        yield "Remote code", ", ".join(facts.remote_code)


def format_words(facts: CheckpointFacts) -> Iterator[str]:
    yield facts.format
    if facts.algorithm and facts.algorithm.lower().replace("_", "-") != facts.format:
        yield f"quant_algo {facts.algorithm}"
    if facts.group_size is not None:
        yield f"groups of {facts.group_size}"


def count_words(number: int) -> str:
    """8030261248 → `8.03 B`."""
    for size, unit in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K")):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)


def render_verdicts(verdicts: Sequence[Verdict]) -> RenderableType:
    """Release, verdict, argument, and the reason that decided."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for verdict in verdicts:
        argument = f"--quantization {verdict.quantization}; " if verdict.quantization else ""
        why = "; ".join(reason.fact for reason in verdict.because)
        table.add_row(
            f"vLLM {verdict.version}",
            Text(verdict.verdict, style=STYLES[verdict.verdict]),
            Text(f"{argument}{why}", style="dim"),
        )
    return table


def render_changes(changes: Sequence[Change], output: str) -> list[str]:
    """What a repair did, a line for each change."""
    lines = [f"{output}: {len(changes)} changes" if changes else f"{output}: nothing to change"]
    return [*lines, *(f"  {render_change(change)}" for change in changes)]


def render_change(change: Change) -> str:
    place = change.file + (f": {'.'.join(change.at)}" if change.at else "")
    match change.act:
        case Act.REMOVE:
            return f"{place} removed ({change.because})"
        case Act.COPY:
            source = ".".join(change.source_at)
            return f"{place} copied from {change.source_file}: {source} ({change.because})"
        case Act.SET:
            short = change.value if isinstance(change.value, str | int) else "written"
            return f"{place} = {short} ({change.because})"


def render_dequantized(tensors: Sequence[DequantizedTensor], output: str) -> list[str]:
    """How many weights of each algorithm were unpacked."""
    counts = Counter(tensor.algorithm for tensor in tensors)
    said = ", ".join(f"{number} {algorithm}" for algorithm, number in counts.most_common())
    return [f"{output}: {len(tensors)} weights unpacked to BF16 ({said})"]
