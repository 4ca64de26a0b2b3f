"""The weights the engine is given: the checkpoint, or what is made of it, kept and used again."""

import hashlib
import shutil
from pathlib import Path
from time import monotonic
from typing import Final

from vllm_forge.checkpoint.scalars import read_scalars
from vllm_forge.records.checkpoint import Checkpoint
from vllm_forge.records.codec import render_json
from vllm_forge.records.event import Emit, Note, StepSkipped
from vllm_forge.records.home import Home
from vllm_forge.records.release import Release
from vllm_forge.records.run import RunKind, RunPath
from vllm_forge.run.dequantize import WEIGHT_SUFFIXES, dequantize
from vllm_forge.run.files import sha256_of, write_atomically
from vllm_forge.run.lock import locked
from vllm_forge.run.repair import repair

ORIGIN: Final = ".origin"


def folder_of(home: Home) -> Path:
    """Where made checkpoints are kept."""
    return home.path / "checkpoints"


def prepare(  # noqa: PLR0913 -- a checkpoint, a decision, and the world they meet in
    checkpoint: Checkpoint,
    path: RunPath,
    release: Release,
    *,
    home: Home,
    python: Path,
    emit: Emit,
    prefer: str | None = None,
) -> Path:
    """The folder to load. What is made carries a digest of what it is made from."""
    original = Path(checkpoint.path).absolute()
    if path.kind in {RunKind.NATIVE, RunKind.FALLBACK}:
        return original
    drop_orphans(folder_of(home))
    place = made_place(checkpoint, path, home)
    with locked(home.lock(place.name), on_wait=lambda said: emit(Note(monotonic(), said))):
        if place.is_dir():
            emit(StepSkipped("weights", f"{path.kind} checkpoint", f"is in {place}", monotonic()))
        elif path.kind is RunKind.REPAIRED:
            write_atomically(place.parent / f"{place.name}{ORIGIN}", f"{original}\n")
            repair(original, place, release, prefer=prefer)
        else:
            dequantize(original, place, python, emit)
    return place


def made_place(checkpoint: Checkpoint, path: RunPath, home: Home) -> Path:
    """Named after the original, what it became, and a digest.

    BF16 weights depend on what the checkpoint holds, wherever it lies; a view links to where it
    lies, and depends on the changes too.
    """
    digest = hashlib.sha256(digest_of(checkpoint).encode())
    if path.kind is RunKind.REPAIRED:
        digest.update(str(Path(checkpoint.path).resolve()).encode())
        digest.update(render_json(path.verdict.changes).encode())
    name = Path(checkpoint.path).resolve().name
    return folder_of(home) / f"{name}-{path.kind}-{digest.hexdigest()[:12]}"


def digest_of(checkpoint: Checkpoint) -> str:
    """A checkpoint's content without reading hundreds of gigabytes.

    Every byte of its small files; of the weights the headers, the scale scalars (the largest value
    of each matrix, in effect), and each file's size and time of change.
    """
    folder = Path(checkpoint.path)
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.is_file() and not file.name.endswith(WEIGHT_SUFFIXES):
            digest.update(f"{file.name} {sha256_of(file)}\n".encode())
    for shard in checkpoint.weights.shards:
        changed = (folder / shard.file).stat().st_mtime_ns
        digest.update(f"{shard.file} {shard.size} {changed}\n".encode())
    for tensor in checkpoint.weights.tensors:
        digest.update(f"{tensor.name} {tensor.dtype} {tensor.shape} {tensor.start}\n".encode())
    for name, value in sorted(read_scalars(checkpoint).items()):
        digest.update(f"{name} {value.hex()}\n".encode())
    return digest.hexdigest()


def drop_orphans(folder: Path) -> None:
    """Views whose original is gone: a hard link would keep its weights on the disk."""
    for origin in folder.glob(f"*{ORIGIN}"):
        original = Path(origin.read_text(encoding="utf-8").rstrip("\n"))
        if not original.exists():
            shutil.rmtree(origin.with_suffix(""), ignore_errors=True)
            origin.unlink(missing_ok=True)
