"""Take one file out of a wheel on an index: its bytes alone, resumed where a cut-off left them."""

import hashlib
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Final

import urllib3

from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.reuse import WheelMember
from vllm_forge.run.files import sha256_of
from vllm_forge.run.network import Network
from vllm_forge.run.urls import HTTP_OK, host_of

CHUNK: Final = 1 << 20
TOGETHER: Final = 4 << 20
"""At most so many bytes are asked for at once without being written as they come."""
LOCAL_HEADER: Final = struct.Struct("<4s22xHH")
"""APPNOTE 4.3.7: a signature, at its end the lengths of the name and of the extra field."""
SIGNATURE: Final = b"PK\x03\x04"
PLAIN, DEFLATED = 0, 8

OnProgress = Callable[[int], None]


def take_member(
    url: str, member: WheelMember, to: Path, network: Network, on_progress: OnProgress
) -> int:
    """Make `to` the member, and return how many bytes were fetched for it.

    The packed bytes that came are kept as `to`.part and continued by the next call; they are
    dropped once `to` has the sha256 that the wheel's RECORD says. `on_progress(bytes)` hears of
    each piece.

    Raises:
        Problem: exit 4 where the bytes are cut off, exit 5 where they are not those RECORD says.
    """
    if to.is_file() and sha256_of(to) == member.sha256:
        return 0
    to.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(to)
    fetched = _fetch(url, member, part, network, on_progress)
    half = to.with_name(f".{to.name}.half")
    try:
        digest = _unpack(member, part, half)
    except Problem:
        part.unlink()
        raise
    if digest != member.sha256:
        part.unlink()
        half.unlink()
        raise Problem(
            f"{member.name} from {host_of(url)} is not what the wheel's RECORD says",
            causes=(f"RECORD: sha256 {member.sha256}", f"received: {digest}"),
            hints=("try again; if it stays so, the index or a proxy alters the file",),
            exit_code=ExitCode.BAD_INPUT,
        )
    half.replace(to)
    part.unlink()
    return fetched


def fetch_together(
    url: str,
    members: Sequence[WheelMember],
    folder: Path,
    network: Network,
    on_progress: OnProgress,
) -> int:
    """Bring small neighbours by one request for all; `take_member` then finds their bytes here.

    Returns the bytes that were fetched.
    """
    fetched = 0
    for group in neighbours(members):
        start, stop = group[0].offset, group[-1].offset + group[-1].span
        data = network(url, start=start, stop=stop)
        for member in group:
            part = part_of(folder / member.name)
            part.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data[member.offset - start :][: member.span])
        fetched += len(data)
        on_progress(len(data))
    return fetched


def neighbours(members: Sequence[WheelMember]) -> list[list[WheelMember]]:
    """Groups of two and more that lie side by side in the wheel, up to `TOGETHER` bytes each."""
    groups: list[list[WheelMember]] = []
    for member in sorted(members, key=lambda one: one.offset):
        last = groups[-1] if groups else []
        beside = bool(last) and last[-1].offset + last[-1].span == member.offset
        if beside and member.offset + member.span - last[0].offset <= TOGETHER:
            last.append(member)
        else:
            groups.append([member])
    return [group for group in groups if len(group) > 1]


def part_of(file: Path) -> Path:
    """Where the packed bytes lie until all are here."""
    return file.with_name(f"{file.name}.part")


def _fetch(
    url: str, member: WheelMember, part: Path, network: Network, on_progress: OnProgress
) -> int:
    """Bring `part` to the whole entry; returns the bytes that came."""
    done = part.stat().st_size if part.exists() else 0
    if done > member.span:  # left by another wheel
        part.unlink()
        done = 0
    if done == member.span:
        return 0
    start, stop = member.offset + done, member.offset + member.span
    came = 0
    with network.open(url, start=start, stop=stop) as response, part.open("ab") as out:
        try:
            if response.status == HTTP_OK:  # the server ignored the range: read up to its start
                came += _skip(response, start)
            while done < member.span:
                piece = response.read(min(CHUNK, member.span - done), decode_content=False)
                if not piece:
                    break
                out.write(piece)
                done += len(piece)
                came += len(piece)
                on_progress(len(piece))
        except urllib3.exceptions.HTTPError as error:
            raise _cut_off(member, done) from error
    if done < member.span:
        raise _cut_off(member, done)
    return came


def _skip(response: "urllib3.BaseHTTPResponse", count: int) -> int:
    left = count
    while left:
        piece = response.read(min(CHUNK, left), decode_content=False)
        if not piece:
            break
        left -= len(piece)
    return count - left


def _cut_off(member: WheelMember, done: int) -> Problem:
    return Problem(
        f"{member.name} was cut off after {done} of {member.span} bytes",
        hints=("run the same command again: it continues from there",),
        exit_code=ExitCode.UNREACHABLE,
    )


def _unpack(member: WheelMember, part: Path, half: Path) -> str:
    """The entry's content into `half`; returns its sha256, hex."""
    digest = hashlib.sha256()
    with part.open("rb") as packed, half.open("wb") as out:
        _enter(packed, member)
        unpack = zlib.decompressobj(-zlib.MAX_WBITS) if member.method == DEFLATED else None
        left = member.stored
        while left:
            piece = packed.read(min(CHUNK, left))
            left -= len(piece)
            try:
                content = piece if unpack is None else unpack.decompress(piece)
            except zlib.error as error:
                raise _damaged(member, str(error)) from error
            if not piece:
                raise _damaged(member, "its entry ends early")
            digest.update(content)
            out.write(content)
    return digest.hexdigest()


def _enter(packed: IO[bytes], member: WheelMember) -> None:
    """Go to where the content begins."""
    header = packed.read(LOCAL_HEADER.size)
    if len(header) < LOCAL_HEADER.size or not header.startswith(SIGNATURE):
        raise _damaged(member, "no zip entry begins there")
    if member.method not in {PLAIN, DEFLATED}:
        raise _damaged(member, f"it is packed by method {member.method}, deflate (8) is known")
    _, name, extra = LOCAL_HEADER.unpack(header)
    packed.seek(LOCAL_HEADER.size + name + extra)


def _damaged(member: WheelMember, why: str) -> Problem:
    return Problem(
        f"{member.name} cannot be taken out of the wheel",
        causes=(why,),
        exit_code=ExitCode.BAD_INPUT,
    )
