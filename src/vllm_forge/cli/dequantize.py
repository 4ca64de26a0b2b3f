"""`dequantize`: an equivalent BF16 checkpoint."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from vllm_forge.checkpoint.read import read_checkpoint
from vllm_forge.cli.common import Common, put, put_json
from vllm_forge.cli.watching import watching
from vllm_forge.records.checkpoint import DequantizedTensor
from vllm_forge.records.problem import ExitCode
from vllm_forge.run.built import find_built
from vllm_forge.run.dequantize import dequantize as unpack
from vllm_forge.run.dequantize_plan import dequantized_of, plan_output
from vllm_forge.run.repair import refuse_output
from vllm_forge.show.checkpoint import render_dequantized
from vllm_forge.show.units import render_bytes


@dataclass(frozen=True, slots=True)
class DequantizeDocument:
    """cli.md's `dequantize` document; `bytes` is the size of the BF16 weights."""

    status: Literal["dequantized", "planned"]
    output: str
    bytes: int
    tensors: tuple[DequantizedTensor, ...]


def dequantize(
    checkpoint: Path,
    /,
    *,
    output: Path,
    env: Path | None = None,
    python: Path | None = None,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False,
    common: Common = Common(),  # noqa: B008 -- frozen
) -> int:
    """Unpack a quantized checkpoint into an equivalent BF16 one, shard by shard.

    Interrupted, it goes on where it was when the same command is given again.

    Parameters
    ----------
    checkpoint
        The model directory; nothing in it is touched.
    output
        A new folder.
    env
        The environment whose torch does the work; else the one built last.
    python
        An interpreter with torch, instead of an environment.
    dry_run
        Print what would be unpacked and stop.
    """
    refuse_output(checkpoint, output)
    shards = plan_output(read_checkpoint(checkpoint))
    size = sum(shard.size for shard in shards)
    if dry_run:
        status: Literal["dequantized", "planned"] = "planned"
        tensors = dequantized_of(shards)
    else:
        status = "dequantized"
        interpreter = python or Path(find_built(env, common.place).python)
        with watching(quiet=common.quiet) as emit:
            tensors = unpack(checkpoint, output, interpreter, emit)
    if common.json:
        put_json(DequantizeDocument(status, str(output), size, tensors))
    elif not common.quiet:
        for line in render_dequantized(tensors, str(output)):
            put(line)
        put(f"  {render_bytes(size)} in {len(shards)} files")
    return ExitCode.DONE
