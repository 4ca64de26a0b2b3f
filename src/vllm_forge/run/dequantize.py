"""A quantized checkpoint → an equivalent BF16 one: planned here, unpacked by a worker with torch.

The work goes on in a folder beside the output, `.NAME.half`. It survives an interruption: finished
shards are in its journal with their hashes, and are kept when nothing about the input has changed.
"""

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Final

from vllm_forge.checkpoint.documents import read_document
from vllm_forge.checkpoint.read import CONFIG, HF_QUANT_CONFIG, read_checkpoint
from vllm_forge.checkpoint.weights import INDEX
from vllm_forge.records.checkpoint import Checkpoint, DequantizedTensor, Format
from vllm_forge.records.event import Emit, Note, StepFinished, StepProgress, StepStarted
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.dequantize_plan import (
    SHARD_BYTES,
    OutputShard,
    dequantized_of,
    plan_output,
)
from vllm_forge.run.files import sha256_of, write_atomically
from vllm_forge.run.lock import locked
from vllm_forge.run.process import work
from vllm_forge.run.repair import refuse_output

STEP: Final = "dequantize"
JOURNAL: Final = "journal.json"
LOG: Final = "worker.log"
PLAN: Final = "plan.json"
WORKER: Final = Path(__file__).parent / "workers" / "dequantize.py"
WEIGHT_SUFFIXES: Final = (
    ".safetensors",
    ".bin",
    ".pt",
    ".pth",
    ".gguf",
    ".ckpt",
    ".h5",
    ".msgpack",
)
MOST_THREADS: Final = 8
SPARE_BYTES: Final = 64 << 20


def dequantize(
    checkpoint: Path,
    output: Path,
    python: Path,
    emit: Emit,
    *,
    shard_bytes: int = SHARD_BYTES,
) -> tuple[DequantizedTensor, ...]:
    """Make `output` and return what was unpacked. `python` has torch 2.3 or newer.

    Raises:
        Problem: exit 5 for a damaged checkpoint; 3 when there is nothing to unpack or something
            that cannot be; 2 when `output` is there already; 4 when the disk is too small or
            refuses; 1 when the worker failed.
    """
    refuse_output(checkpoint, output)
    source = read_checkpoint(checkpoint)
    if source.format is Format.NONE:
        raise Problem(f"{checkpoint}: nothing is quantized here", exit_code=ExitCode.REFUSED)
    shards = plan_output(source, shard_bytes)
    half = output.parent / f".{output.name}.half"
    try:
        with locked(lock_of(output), on_wait=lambda said: emit(Note(monotonic(), said))):
            refuse_output(checkpoint, output)
            journal = Journal.resume(half, fingerprint_of(source, shards))
            unpack(half, shards, journal, python, emit)
            complete(source, half, shards)
            half.rename(output)
    except OSError as error:
        raise Problem(
            f"{half} cannot be written: {error.strerror or error}", exit_code=ExitCode.UNREACHABLE
        ) from error
    return dequantized_of(shards)


def lock_of(output: Path) -> Path:
    """Beside nobody's files: a lock that is deleted under a waiter locks nothing."""
    name = hashlib.sha256(str(output.absolute()).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"vllm-forge-{name}.lock"


@dataclass(slots=True)
class Journal:
    """Finished shards: file → its SHA-256."""

    folder: Path
    fingerprint: str
    finished: dict[str, str] = field(default_factory=dict)

    @classmethod
    def resume(cls, folder: Path, fingerprint: str) -> "Journal":
        """What an interrupted run left behind, as far as it is whole and of the same input."""
        journal = cls(folder, fingerprint)
        left = folder / JOURNAL
        if left.is_file():
            said = json.loads(left.read_text(encoding="utf-8"))
            if said["fingerprint"] == fingerprint:
                journal.finished = {
                    file: digest
                    for file, digest in said["finished"].items()
                    if (folder / file).is_file() and sha256_of(folder / file) == digest
                }
        if not journal.finished:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        return journal

    def finish(self, file: str, digest: str) -> None:
        self.finished[file] = digest
        said = {"fingerprint": self.fingerprint, "finished": self.finished}
        write_atomically(self.folder / JOURNAL, json.dumps(said, indent=1))


def fingerprint_of(source: Checkpoint, shards: tuple[OutputShard, ...]) -> str:
    """The input files as they are now, and the layout of the output."""
    digest = hashlib.sha256()
    for shard in source.weights.shards:
        status = (Path(source.path) / shard.file).stat()
        digest.update(f"{shard.file} {status.st_size} {status.st_mtime_ns}\n".encode())
    for output in shards:
        digest.update(f"{output.file} {output.size}\n{output.header}\n".encode())
    digest.update(hashlib.sha256(WORKER.read_bytes()).digest())
    return digest.hexdigest()


def unpack(
    half: Path, shards: tuple[OutputShard, ...], journal: Journal, python: Path, emit: Emit
) -> None:
    """Run the worker over the shards that are not there yet."""
    missing = [shard for shard in shards if shard.file not in journal.finished]
    done = sum(shard.size for shard in shards if shard.file in journal.finished)
    total = sum(shard.size for shard in shards)
    emit(StepStarted(STEP, f"unpack {len(shards)} shards to BF16", monotonic()))
    if done:
        kept = f"{len(journal.finished)} of {len(shards)} shards were made before and are kept"
        emit(Note(monotonic(), kept))
    refuse_small_disk(half, total - done)
    started = monotonic()
    if missing:
        threads = max(1, min(MOST_THREADS, len(os.sched_getaffinity(0))))
        write_atomically(half / PLAN, json.dumps(plan_for_worker(half, missing, threads)))
        listener = Listener(journal, emit, done, total)
        worked = work(
            [python, "-u", WORKER, half / PLAN],
            log=half / LOG,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            on_line=listener.hear,
        )
        if worked.code != 0:
            raise Problem(
                f"unpacking failed with code {worked.code}",
                causes=listener.complaints(),
                hints=(f"the whole log: {half / LOG}", "run it again: finished shards are kept"),
            )
    seconds = max(monotonic() - started, 1e-9)
    speed = (total - done) / seconds / 1e9
    summary = f"{total / 1e9:.2f} GB of BF16 in {len(shards)} shards, {speed:.2f} GB/s"
    emit(StepFinished(STEP, monotonic(), summary))


def refuse_small_disk(half: Path, needed: int) -> None:
    free = shutil.disk_usage(half).free
    if needed + SPARE_BYTES > free:
        raise Problem(
            f"{half.parent} has {free / 1e9:.1f} GB free; the BF16 checkpoint takes "
            f"{needed / 1e9:.1f} GB",
            hints=("give --output on a larger disk",),
            exit_code=ExitCode.UNREACHABLE,
        )


def plan_for_worker(half: Path, shards: list[OutputShard], threads: int) -> dict[str, Any]:
    return {
        "threads": threads,
        "shards": [
            {
                "file": str(half.absolute() / shard.file),
                "header": shard.header,
                "size": shard.size,
                "tensors": [tensor.job for tensor in shard.tensors],
            }
            for shard in shards
        ],
    }


class Listener:
    """The worker's lines: events become ours, anything else is kept as a complaint."""

    def __init__(self, journal: Journal, emit: Emit, done: int, total: int) -> None:
        self._journal = journal
        self._emit = emit
        self._done = done
        self._total = total
        self._said: list[str] = []

    def hear(self, line: str) -> None:
        if not line.startswith('{"event"'):
            self._said = [*self._said[-20:], line]
            return
        event = json.loads(line)
        if event["event"] == "shard":
            self._journal.finish(event["file"], event["sha256"])
            return
        done = self._done + event["done"]
        self._emit(StepProgress(STEP, monotonic(), done, self._total, "bytes", (event["file"],)))

    def complaints(self) -> tuple[str, ...]:
        """The last lines: in a traceback, the exception."""
        return tuple(line for line in self._said[-3:] if line.strip())


def complete(source: Checkpoint, half: Path, shards: tuple[OutputShard, ...]) -> None:
    """The JSON files, and everything of the original that is not weights."""
    original = Path(source.path)
    config = read_document(original / CONFIG)
    write_json(half / CONFIG, plain_config(config))
    if len(shards) > 1:
        weight_map = {tensor.name: shard.file for shard in shards for tensor in shard.tensors}
        size = sum(tensor.size for shard in shards for tensor in shard.tensors)
        index = {"metadata": {"total_size": size}, "weight_map": weight_map}
        write_json(half / INDEX, index)
    made = {CONFIG, HF_QUANT_CONFIG, INDEX}
    for entry in sorted(original.iterdir()):
        hidden = entry.name.startswith(".") or entry.name in made
        if not hidden and entry.is_file() and not entry.name.endswith(WEIGHT_SUFFIXES):
            shutil.copyfile(entry, half / entry.name)
    for name in (PLAN, LOG, JOURNAL):
        (half / name).unlink(missing_ok=True)


def plain_config(config: dict[str, Any]) -> dict[str, Any]:
    """Without quantization, BF16 everywhere a dtype is named."""
    plain = {
        key: plain_config(value) if key == "text_config" and isinstance(value, dict) else value
        for key, value in config.items()
        if key not in {"quantization_config", "compression_config"}
    }
    for key in ("dtype", "torch_dtype"):
        if key in plain:
            plain[key] = "bfloat16"
    return plain


def write_json(path: Path, value: object) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    write_atomically(path, f"{text}\n")
