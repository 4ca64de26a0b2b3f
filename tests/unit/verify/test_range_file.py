import io
import zipfile

import pytest

from vllm_forge.records.range_file import KEPT_BLOCKS, RangeFile

DATA = bytes(range(256)) * 4


class Source:
    """Bytes that remember which ranges were asked for."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.asked: list[tuple[int, int]] = []

    def __call__(self, start: int, stop: int) -> bytes:
        self.asked.append((start, stop))
        return self.data[start:stop]


def test_reads_what_a_file_would() -> None:
    file, plain = RangeFile(Source(DATA), len(DATA), block=100), io.BytesIO(DATA)
    for offset, whence, size in [
        (0, 0, 10),
        (95, 0, 10),
        (-5, 1, 3),
        (-7, 2, 100),
        (2000, 0, 5),
        (250, 0, 500),
        (1000, 0, -1),
    ]:
        assert file.seek(offset, whence) == plain.seek(offset, whence)
        assert file.read(size) == plain.read(size)
        assert file.tell() == plain.tell()


def test_missing_neighbours_are_asked_for_at_once_and_kept() -> None:
    source = Source(DATA)
    file = RangeFile(source, len(DATA), block=100)
    file.seek(210)
    file.read(10)
    file.seek(150)
    file.read(400)
    file.seek(150)
    file.read(400)
    assert source.asked == [(200, 300), (100, 200), (300, 600)]


def test_the_last_block_ends_with_the_file() -> None:
    source = Source(DATA)
    file = RangeFile(source, len(DATA), block=100)
    file.seek(-1, io.SEEK_END)
    assert file.read(100) == DATA[-1:]
    assert source.asked == [(1000, 1024)]


def test_memory_is_bounded() -> None:
    file = RangeFile(Source(bytes(10_000)), 10_000, block=10)
    file.read()
    assert len(file._kept) == KEPT_BLOCKS


def test_a_source_that_gives_too_little_is_an_error() -> None:
    file = RangeFile(lambda _start, _stop: b"short", 1000)
    with pytest.raises(EOFError, match=r"0 to 1000, got 5"):
        file.read(10)


def test_before_the_start_is_an_error() -> None:
    with pytest.raises(ValueError, match="-1"):
        RangeFile(Source(DATA), len(DATA)).seek(-1)


def test_a_buffered_reader_stands_on_it() -> None:
    file = io.BufferedReader(RangeFile(Source(DATA), len(DATA), block=100))
    file.seek(90)
    assert file.read(20) == DATA[90:110]


def test_a_zip_member_is_read_without_the_rest() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("large", bytes(100_000))
        archive.writestr("wanted", b"here")
    source = Source(packed.getvalue())
    with zipfile.ZipFile(RangeFile(source, len(source.data), block=1000)) as archive:
        assert archive.read("wanted") == b"here"
    assert sum(stop - start for start, stop in source.asked) < 3000
