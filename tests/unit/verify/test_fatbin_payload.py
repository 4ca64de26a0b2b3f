import pytest

from vllm_forge.verify.fatbin_payload import decompress_lz4, parse_kernels


@pytest.mark.parametrize(
    ("block", "plain"),
    [
        (b"\x50hello", b"hello"),
        (b"\xf0\x05" + bytes(range(20)), bytes(range(20))),
        (b"\x30abc\x03\x00\x10!", b"abcabca!"),
        (b"\x1fa\x01\x00\x00\x10b", b"a" * 20 + b"b"),
        (b"\x1fa\x01\x00\xff\x02\x10b", b"a" * (1 + 4 + 15 + 255 + 2) + b"b"),
    ],
    ids=["literals", "long literals", "overlap", "long match", "longer match"],
)
def test_lz4_blocks(block: bytes, plain: bytes) -> None:
    assert decompress_lz4(block, len(plain)) == plain


@pytest.mark.parametrize(
    ("block", "said"),
    [
        (b"\x30abc\x09\x00\x10!", "points 9 bytes back"),
        (b"\x30abc\x00\x00\x10!", "points 0 bytes back"),
        (b"\xf0", "cut off"),
        (b"\x30abc", "cut off"),
        (b"\x90abcdefghi", "9 bytes, not 8"),
        (b"\x30abc\x03", "cut off"),
    ],
)
def test_a_damaged_block_is_told(block: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        decompress_lz4(block, 8)


@pytest.mark.parametrize("cubin", [b"", b"\x7fELF\x01" + bytes(100), b"\x7fELF\x02" + b"\xff" * 60])
def test_what_is_no_cubin_is_told(cubin: bytes) -> None:
    with pytest.raises(ValueError, match=r"ELF object|section table"):
        parse_kernels(cubin)
