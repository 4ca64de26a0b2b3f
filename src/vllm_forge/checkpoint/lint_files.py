"""Are all files there, whole, and in agreement with the index?"""

from collections import Counter
from collections.abc import Iterator

from vllm_forge.checkpoint.evidence import finding
from vllm_forge.records.checkpoint import Checkpoint, Weights
from vllm_forge.records.finding import Finding, Severity


def lint_files(checkpoint: Checkpoint) -> Iterator[Finding]:
    weights = checkpoint.weights
    if not weights.shards:
        yield finding(
            "weights-missing",
            Severity.WARNING,
            "there are no safetensors files here: only the metadata was checked",
            ["no *.safetensors in the folder"],
            "fetch the whole checkpoint before running it",
        )
    if weights.missing:
        yield finding(
            "shard-missing",
            Severity.ERROR,
            f"{len(weights.missing)} weight files are missing",
            list(weights.missing),
            "fetch the missing files again",
        )
    yield from lint_sizes(weights)
    yield from lint_index(weights)
    if not checkpoint.tokenizer:
        yield finding(
            "tokenizer-missing",
            Severity.WARNING,
            "there is no tokenizer: text can be neither read nor written with this folder alone",
            ["none of tokenizer.json, tokenizer.model, tokenizer_config.json, vocab.json"],
            "copy the tokenizer files of the original model into the folder",
            "or pass --tokenizer MODEL to vLLM",
        )
    if checkpoint.model.remote_code:
        yield finding(
            "remote-code-needed",
            Severity.WARNING,
            "this model brings its own Python code, which runs with your rights",
            list(checkpoint.model.remote_code),
            "read these files, then pass --trust-remote-code",
        )


def lint_sizes(weights: Weights) -> Iterator[Finding]:
    short = [shard for shard in weights.shards if shard.size < shard.promised_size]
    long = [shard for shard in weights.shards if shard.size > shard.promised_size]
    if short:
        yield finding(
            "shard-truncated",
            Severity.ERROR,
            "weight files are shorter than their headers promise",
            [f"{shard.file}: {shard.size} of {shard.promised_size} bytes" for shard in short],
            "fetch these files again",
        )
    if long:
        yield finding(
            "shard-overlong",
            Severity.ERROR,
            "weight files go on after their last tensor; safetensors refuses such a file",
            [f"{shard.file}: {shard.size} bytes, not {shard.promised_size}" for shard in long],
            "fetch these files again",
        )


def lint_index(weights: Weights) -> Iterator[Finding]:
    where: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for tensor in weights.tensors:
        where[tensor.name] = tensor.file
        counts[tensor.name] += 1
    if len(counts) < len(weights.tensors):
        yield finding(
            "tensor-duplicated",
            Severity.ERROR,
            "tensors stand in more than one file, and which one is loaded is chance",
            [f"{name}: {count} times" for name, count in counts.items() if count > 1],
            "delete the files that belong to another export",
        )
    index = weights.index
    if index is None:
        return
    missing = set(weights.missing)
    wrong = [
        f"{name}: index says {file}, "
        + (f"it is in {where[name]}" if name in where else "no file has it")
        for name, file in index.items()
        if where.get(name) != file and file not in missing
    ]
    if wrong:
        yield finding(
            "index-wrong",
            Severity.ERROR,
            "model.safetensors.index.json and the files do not agree",
            wrong,
            "export the checkpoint again, or fetch the index of the same revision",
        )
    unlisted = [f"{name} in {file}" for name, file in where.items() if name not in index]
    unlisted += [f"{file}: not in the index" for file in weights.unlisted]
    if unlisted:
        yield finding(
            "index-incomplete",
            Severity.WARNING,
            "tensors or files that the index does not list are not loaded, or are left-overs",
            unlisted,
            "remove files of another export; fetch the index of the same revision",
        )
