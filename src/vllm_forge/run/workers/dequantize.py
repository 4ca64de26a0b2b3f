"""Unpacks quantized weights to BF16, one shard after the other. Runs in an environment with torch.

Stands alone: nothing but the standard library and torch. `python dequantize.py PLAN.json`,
a plan as `dequantize_plan.py` makes it; one JSON line on stdout for each step of progress and for
each finished shard, with its SHA-256. A shard gets its name only when it is whole.

Memory: a chunk of about CHUNK weights is read, computed and written at a time, a few of them at
once; how large a tensor is does not matter. The threads are ours, not torch's: chunks are
independent, torch lets go of the interpreter lock, and one thread keeps its chunk in its own cache.

Arithmetic: value x scale in F32, rounded to BF16, as ModelOpt's and vLLM's own unpacking.
"""

import hashlib
import json
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import torch

CHUNK: Final = 1 << 18
"""Weights computed at once: 0.5 MB of BF16 and 1 MB of F32 stay in a core's own cache."""
REPORT_SECONDS: Final = 0.25
BLOCK: Final = 128
NVFP4_GROUP: Final = 16
MX_GROUP: Final = 32
DTYPES: Final = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
E2M1: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""Magnitudes of FP4 by its three low bits; the fourth is the sign."""

Values = Any
Job = dict[str, Any]
Work = Callable[[], bytearray]


class Sources:
    """Input files, opened once; any thread reads any part of them."""

    def __init__(self, paths: set[str]) -> None:
        self._descriptors = {path: os.open(path, os.O_RDONLY) for path in paths}

    def close(self) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)

    def read(self, part: Job, first: int, size: int) -> bytearray:
        """`size` bytes of a tensor, from its byte `first` on."""
        data = bytearray(size)
        view, done = memoryview(data), 0
        while done < size:
            place = part["start"] + first + done
            got = os.preadv(self._descriptors[part["file"]], [view[done:]], place)
            if got == 0:
                raise EOFError(f"{part['file']} ends at byte {place}, {size - done} too early")
            done += got
        return data

    def numbers(self, part: Job, first: int, count: int) -> Values:
        """Elements of a scale as F32; those of one byte come as uint8."""
        dtype = DTYPES.get(part["dtype"], torch.uint8)
        raw = self.read(part, first * dtype.itemsize, count * dtype.itemsize)
        values = torch.frombuffer(raw, dtype=dtype)
        return values if dtype is torch.uint8 else values.float()


def pairs_of(values: Values) -> Values:
    """A table for two codes at once: index low + high * len(values), both BF16 in one int32."""
    bits = values.to(torch.bfloat16).view(torch.int16).to(torch.int32) & 0xFFFF
    return (bits.unsqueeze(0) | (bits.unsqueeze(1) << 16)).reshape(-1).contiguous()


E4M3: Final = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float()
"""The value of each FP8 code; BF16 holds it exactly."""
E4M3_PAIRS: Final = pairs_of(E4M3)
FP4_PAIRS: Final = pairs_of(torch.tensor([*E2M1, *(-value for value in E2M1)]))
"""A byte's two nibbles, the low one first: it is the even element."""


def look_up(raw: bytearray, pairs: Values, into: Values | None = None) -> Values:
    """Codes → BF16 values. Two FP8 codes make a 16-bit index, two FP4 codes an 8-bit one."""
    if pairs.numel() > len(E4M3):
        raw += bytes(len(raw) % 2)
        index = torch.frombuffer(raw, dtype=torch.uint16).to(torch.int32)
    else:
        index = torch.frombuffer(raw, dtype=torch.uint8).to(torch.int32)
    return torch.index_select(pairs, 0, index, out=into).view(torch.bfloat16)


def rounded(values: Values) -> bytearray:
    """F32 → the bytes of BF16."""
    out = bytearray(2 * values.numel())
    torch.frombuffer(out, dtype=torch.bfloat16).copy_(values.reshape(-1))
    return out


def row_chunks(job: Job) -> Iterator[tuple[int, int]]:
    """(first row, rows), about CHUNK weights each."""
    step = max(1, CHUNK // max(1, job["columns"]))
    for first in range(0, job["rows"], step):
        yield first, min(step, job["rows"] - first)


def copy_chunks(job: Job, sources: Sources) -> Iterator[Work]:
    """Bytes as they are."""
    for first in range(0, job["size"], 2 * CHUNK):
        size = min(2 * CHUNK, job["size"] - first)
        yield lambda first=first, size=size: sources.read(job["weight"], first, size)  # type: ignore[misc]


def tensor_chunks(job: Job, sources: Sources) -> Iterator[Work]:
    """FP8 with one scale: the scale is in the table, a weight costs a look-up."""
    pairs = pairs_of(E4M3 * sources.numbers(job["scale"], 0, 1))
    total = job["rows"] * job["columns"]

    def unpack(first: int, count: int) -> bytearray:
        out = bytearray(2 * (count + count % 2))
        look_up(
            sources.read(job["weight"], first, count),
            pairs,
            torch.frombuffer(out, dtype=torch.int32),
        )
        return out[: 2 * count] if count % 2 else out

    for first in range(0, total, CHUNK):
        count = min(CHUNK, total - first)
        yield lambda first=first, count=count: unpack(first, count)  # type: ignore[misc]


def matrix_chunks(job: Job, sources: Sources) -> Iterator[Work]:
    """Everything else: rows of codes, and a function that multiplies them by their scales."""
    columns, packed = job["columns"], 2 if job["kind"] == "nvfp4" else 1
    pairs = FP4_PAIRS if job["kind"] == "nvfp4" else E4M3_PAIRS
    multiply = MULTIPLIERS[job["kind"]](job, sources)

    def unpack(first: int, rows: int) -> bytearray:
        width = columns // packed
        codes = sources.read(job["weight"], first * width, rows * width)
        wide = look_up(codes, pairs)[: rows * columns].float().view(rows, columns)
        return rounded(multiply(wide, first))

    for first, rows in row_chunks(job):
        yield lambda first=first, rows=rows: unpack(first, rows)  # type: ignore[misc]


Multiply = Callable[[Values, int], Values]
"""(weights of some rows, the first of these rows) → scaled."""


def by_rows(job: Job, sources: Sources) -> Multiply:
    """A scale for each row, or for each run of equally many rows (an expert)."""
    scales = sources.numbers(job["scale"], 0, job["scale"]["count"])
    run = job["rows"] // len(scales)

    def multiply(wide: Values, first: int) -> Values:
        index = torch.arange(first, first + len(wide)) // run
        return wide.mul_(scales[index].unsqueeze(1))

    return multiply


def by_blocks(job: Job, sources: Sources) -> Multiply:
    """A scale for each block of 128 x 128; blocks at the edges may be partial."""
    across = -(-job["columns"] // BLOCK)
    scales = sources.numbers(job["scale"], 0, job["scale"]["count"]).view(-1, across)

    def multiply(wide: Values, first: int) -> Values:
        index = torch.arange(first, first + len(wide)) // BLOCK
        every = scales[index].repeat_interleave(BLOCK, dim=1)
        return wide.mul_(every[:, : wide.shape[1]])

    return multiply


def by_nvfp4_groups(job: Job, sources: Sources) -> Multiply:
    """An e4m3 scale for each 16 weights, times one F32 for the tensor."""
    groups = job["columns"] // NVFP4_GROUP
    whole = sources.numbers(job["scale_2"], 0, 1)

    def multiply(wide: Values, first: int) -> Values:
        codes = sources.read(job["scale"], first * groups, len(wide) * groups)
        scales = (
            torch.frombuffer(codes, dtype=torch.uint8).view(torch.float8_e4m3fn).float() * whole
        )
        wide.view(-1, NVFP4_GROUP).mul_(scales.view(-1, 1))
        return wide

    return multiply


def by_mx_groups(job: Job, sources: Sources) -> Multiply:
    """A power of two for each 32 weights: E8M0, biased by 127, 255 is NaN."""
    groups = job["columns"] // MX_GROUP

    def multiply(wide: Values, first: int) -> Values:
        codes = sources.read(job["scale"], first * groups, len(wide) * groups)
        exponents = torch.frombuffer(codes, dtype=torch.uint8).to(torch.int32)
        scales = torch.ldexp(torch.ones(()), exponents - 127)
        scales = scales.masked_fill(exponents == 255, float("nan"))  # noqa: PLR2004 -- E8M0's NaN
        wide.view(-1, MX_GROUP).mul_(scales.view(-1, 1))
        return wide

    return multiply


MULTIPLIERS: Final = {
    "fp8-rows": by_rows,
    "fp8-blocks": by_blocks,
    "nvfp4": by_nvfp4_groups,
    "mxfp8": by_mx_groups,
}


def chunks_of(job: Job, sources: Sources) -> Iterator[Work]:
    """The output bytes of one tensor, in order, as work that any thread can do."""
    if job["kind"] == "copy":
        return copy_chunks(job, sources)
    return tensor_chunks(job, sources) if job["kind"] == "fp8" else matrix_chunks(job, sources)


def in_order(work: Iterator[Work], pool: ThreadPoolExecutor, ahead: int) -> Iterator[bytearray]:
    """Results in the order of the work, at most `ahead` of them in memory."""
    running: deque[Future[bytearray]] = deque()
    for item in work:
        running.append(pool.submit(item))
        if len(running) >= ahead:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()


def write_shard(shard: Job, pool: ThreadPoolExecutor, threads: int, report: "Report") -> None:
    """One safetensors file: length, header, data."""
    place = Path(shard["file"])
    half = place.with_name(f"{place.name}.part")
    header = shard["header"].encode()
    head = len(header).to_bytes(8, "little") + header
    digest, size = hashlib.sha256(head), len(head)
    sources = Sources(files_of(shard))
    try:
        with half.open("wb") as out, ThreadPoolExecutor(1) as hashing:
            out.write(head)
            hashed = hashing.submit(digest.update, b"")
            work = (item for job in shard["tensors"] for item in chunks_of(job, sources))
            for data in in_order(work, pool, 2 * threads):
                hashed.result()
                hashed = hashing.submit(digest.update, data)
                out.write(data)
                size += len(data)
                report.add(len(data), place.name)
            hashed.result()
            out.flush()
            os.fsync(out.fileno())
    finally:
        sources.close()
    if size != shard["size"]:
        raise ValueError(f"{place}: {size} bytes were made of {shard['size']}")
    half.replace(place)
    say({"event": "shard", "file": place.name, "size": size, "sha256": digest.hexdigest()})


def files_of(shard: Job) -> set[str]:
    parts = ("weight", "scale", "scale_2")
    return {job[part]["file"] for job in shard["tensors"] for part in parts if part in job}


class Report:
    """Progress in bytes of output, a few times a second."""

    def __init__(self) -> None:
        self._done = 0
        self._said = 0.0

    def add(self, size: int, file: str) -> None:
        self._done += size
        now = time.monotonic()
        if now - self._said >= REPORT_SECONDS:
            self._said = now
            say({"event": "progress", "done": self._done, "file": file})


def say(event: Job) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def main(path: str) -> None:
    plan = json.loads(Path(path).read_text(encoding="utf-8"))
    torch.set_num_threads(1)
    report = Report()
    with ThreadPoolExecutor(plan["threads"]) as pool:
        for shard in plan["shards"]:
            write_shard(shard, pool, plan["threads"], report)


if __name__ == "__main__":
    main(sys.argv[1])
