"""A file that is somewhere else, read in ranges: what zipfile and pyelftools need of a file.

The reading itself is injected, so that a remote wheel and a byte string in a test are the same
thing. Blocks are aligned and kept, the most recently used ones; a read that spans several missing
blocks asks for them at once, because a request costs more than the bytes it brings.
"""

import io
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

KEPT_BLOCKS: Final = 64


class RangeFile(io.RawIOBase):
    """A seekable, read-only file over `read(start, stop)`, which returns that half-open byte range.

    `size` and `block` are bytes. At most `KEPT_BLOCKS` blocks are held in memory.
    """

    def __init__(self, read: Callable[[int, int], bytes], size: int, block: int = 1 << 20) -> None:
        super().__init__()
        self._read = read
        self._size = size
        self._block = block
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; a place before the start is a ValueError, one past the end reads as empty."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if origin + offset < 0:
            raise ValueError(f"seek to {origin + offset}")
        self._position = origin + offset
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """Exactly `size` bytes, fewer only at the end of the file; everything that is left for -1.

        Raises:
            EOFError: the source gave fewer bytes than it was asked for.
        """
        left = max(0, self._size - self._position)
        wanted = left if size < 0 else min(size, left)
        data = self._range(self._position, self._position + wanted)
        self._position += wanted
        return data

    def readall(self) -> bytes:
        return self.read()

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _range(self, start: int, stop: int) -> bytes:
        if start >= stop:
            return b""
        first, last = start // self._block, (stop - 1) // self._block
        blocks = {
            number: self._kept[number] for number in range(first, last + 1) if number in self._kept
        }
        for run in _runs([number for number in range(first, last + 1) if number not in blocks]):
            blocks |= self._fetch(run)
        for number, data in blocks.items():
            self._kept[number] = data
            self._kept.move_to_end(number)
        while len(self._kept) > KEPT_BLOCKS:
            self._kept.popitem(last=False)
        whole = b"".join(blocks[number] for number in range(first, last + 1))
        return whole[start - first * self._block : stop - first * self._block]

    def _fetch(self, run: range) -> dict[int, bytes]:
        start = run.start * self._block
        stop = min(run.stop * self._block, self._size)
        data = self._read(start, stop)
        if len(data) != stop - start:
            raise EOFError(f"asked for bytes {start} to {stop}, got {len(data)}")
        return {
            number: data[
                (number - run.start) * self._block : (number + 1 - run.start) * self._block
            ]
            for number in run
        }


def _runs(numbers: list[int]) -> list[range]:
    """Neighbours together: [1, 2, 5] → [range(1, 3), range(5, 6)]."""
    runs: list[range] = []
    for number in numbers:
        if runs and runs[-1].stop == number:
            runs[-1] = range(runs[-1].start, number + 1)
        else:
            runs.append(range(number, number + 1))
    return runs
