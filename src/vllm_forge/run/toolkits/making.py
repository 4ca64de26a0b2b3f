"""Make an offered toolkit: fetched, unpacked, proven, and only then given its name.

It is made in a folder that no probe looks into and becomes home/toolkits/NAME by one rename, so a
half-unpacked toolkit is never seen as one. What was fetched stays until the toolkit is whole: the
next run goes on from there.
"""

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Final

from vllm_forge.probe.answers import Answers
from vllm_forge.probe.compiler import read_compilers
from vllm_forge.probe.programs import parse_path, read_programs
from vllm_forge.probe.system import read_offered_gcc
from vllm_forge.probe.toolkit_parts import missing_parts
from vllm_forge.records.codec import parse_json, render_json
from vllm_forge.records.event import Note, StepFinished, StepProgress, StepStarted
from vllm_forge.records.home import Home
from vllm_forge.records.machine import Compiler
from vllm_forge.records.problem import Problem
from vllm_forge.records.toolkit import Offer, ToolkitReceipt
from vllm_forge.run.doors import Doors
from vllm_forge.run.files import make_home, write_atomically
from vllm_forge.run.lock import locked
from vllm_forge.run.toolkits.driver_stub import make_driver_stub
from vllm_forge.run.toolkits.proof import (
    choose_host,
    prove_compile,
    prove_parts,
    prove_version,
)
from vllm_forge.run.toolkits.provider import Recipe
from vllm_forge.run.toolkits.room import check_room

RECEIPT: Final = "forge-toolkit.json"
STEP: Final = "toolkit"


def toolkits_of(home: Home) -> Path:
    """Where probe.toolkit.read_toolkits looks for the forge's own."""
    return home.path / "toolkits"


def unfinished_of(home: Home) -> Path:
    """Where toolkits are while they are made or removed."""
    return home.path / "unfinished"


def make_toolkit(recipe: Recipe, doors: Doors) -> Path:
    """Make what the recipe offers and return its prefix; one that is whole is left as it is.

    Raises:
        Problem: exit 4 for the network and the disk, exit 5 for a damaged package, exit 1 when
            what was unpacked is no working toolkit.
    """
    offer = recipe.offer
    folder = toolkits_of(doors.home) / offer.name
    make_home(doors.home.path)

    def waiting(message: str) -> None:
        doors.emit(Note(monotonic(), message))

    with locked(doors.home.lock(offer.name), on_wait=waiting):
        kept = read_toolkit_receipt(folder)
        if kept is not None and kept.nvcc == offer.nvcc and not missing_parts(folder):
            recipe.forget()
            return folder
        started = monotonic()
        doors.emit(StepStarted(STEP, f"CUDA {offer.nvcc} from {offer.origin}", started))
        check_room(offer, doors)
        work = unfinished_of(doors.home) / offer.name
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            receipt = _make(recipe, work, doors, started)
            shutil.rmtree(folder, ignore_errors=True)
            folder.parent.mkdir(exist_ok=True)
            work.rename(folder)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        recipe.forget()
    doors.emit(StepFinished(STEP, monotonic(), f"{folder}, {receipt.files} files"))
    return folder


def read_toolkit_receipt(prefix: Path) -> ToolkitReceipt | None:
    """None for a folder that the forge did not make, or whose receipt cannot be read."""
    path = prefix / RECEIPT
    try:
        return parse_json(path.read_bytes(), ToolkitReceipt, origin=str(path))
    except (OSError, Problem):
        return None


def _make(recipe: Recipe, work: Path, doors: Doors, started: float) -> ToolkitReceipt:
    offer = recipe.offer
    recipe.fill(work, _progress(offer, doors))
    host = _host(offer, doors)
    if isinstance(host, Compiler):
        make_driver_stub(work, host.path, doors.run)
    prove_parts(work)
    prove_version(work, offer.nvcc, doors.run)
    if isinstance(host, Compiler):
        prove_compile(work, host, doors.run)
    else:
        doors.emit(Note(monotonic(), f"not proven by compiling: {host}"))
    files, size = _measure(work)
    receipt = ToolkitReceipt(
        schema=1,
        provider=offer.provider,
        nvcc=offer.nvcc,
        origin=offer.origin,
        archives=offer.archives,
        files=files,
        bytes=size,
        seconds=round(monotonic() - started, 1),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_atomically(work / RECEIPT, render_json(receipt))
    return receipt


def _progress(offer: Offer, doors: Doors) -> Callable[[int], None]:
    def tell(done: int) -> None:
        total = offer.download_bytes or None
        doors.emit(StepProgress(STEP, monotonic(), done, total, "bytes"))

    return tell


def _host(offer: Offer, doors: Doors) -> Compiler | str:
    answers = Answers(doors.run, environ=doors.environ, kept={})
    programs = read_programs(parse_path(doors.environ.get("PATH", os.defpath)))
    compilers = read_compilers(programs, answers, doors.environ)
    host = choose_host(offer.nvcc, compilers)
    if isinstance(host, str):
        return choose_host(offer.nvcc, compilers, read_offered_gcc(doors.run))
    return host


def _measure(prefix: Path) -> tuple[int, int]:
    """(files, bytes) below a folder, links not followed."""
    sizes = [
        path.lstat().st_size
        for path in prefix.rglob("*")
        if path.is_file() and not path.is_symlink()
    ]
    return len(sizes), sum(sizes)
