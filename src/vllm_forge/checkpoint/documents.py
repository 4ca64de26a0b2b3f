"""JSON from strangers: bounded, strict, and each complaint names the file and the line.

The standard library's parser rather than msgspec's: msgspec keeps the last of two equal keys
without a word, and two readers of one file must not see two different models.
"""

import json
import stat
from pathlib import Path
from typing import Any, Final, NoReturn

from vllm_forge.checkpoint.trouble import bad_checkpoint, shown, unreadable

LARGEST_BYTES: Final = 64 << 20
"""The largest published ones have 2.4 MB (22,422 quantized layers)."""
MOST_VALUES: Final = 4_000_000
"""Commas in a document: what bounds the memory that its values take."""


def read_document(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        Problem: exit 5, for a file that is not one, cannot be read, or is absurdly large.
    """
    return parse_object(read_bounded(path, LARGEST_BYTES), origin=str(path))


def read_bounded(path: Path, limit: int) -> bytes:
    """All bytes of a regular file (links followed) of at most `limit` bytes.

    Raises:
        Problem: exit 5.
    """
    size = regular_size(path)
    if size > limit:
        raise bad_checkpoint(f"{shown(str(path))}: {size} bytes, more than the {limit} we read")
    try:
        with path.open("rb") as data:
            return data.read(limit)
    except OSError as error:
        raise unreadable(path, error) from error


def regular_size(path: Path) -> int:
    """Bytes of a regular file, links followed.

    Raises:
        Problem: exit 5. A pipe or a device is refused before it is opened: it would block.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(status.st_mode):
        raise bad_checkpoint(f"{shown(str(path))}: not a regular file")
    return status.st_size


def parse_object(data: bytes, *, origin: str) -> dict[str, Any]:
    """Strict JSON: UTF-8, no duplicate keys, no NaN or Infinity, one object.

    Raises:
        Problem: exit 5, with `origin` and, where there is one, the line.
    """
    where = shown(origin)
    if data.count(b",") > MOST_VALUES:
        raise bad_checkpoint(f"{where}: more than {MOST_VALUES} values")
    try:
        text = data.decode()
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        if "\\ud" in text.lower():
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise bad_checkpoint(
            f"{where}: line {error.lineno}, column {error.colno}: {_meaning(error)}"
        ) from error
    except UnicodeError as error:
        raise bad_checkpoint(f"{where}: not UTF-8 text ({shown(str(error))})") from error
    except RecursionError as error:
        raise bad_checkpoint(f"{where}: nested too deeply") from error
    except ValueError as error:
        raise bad_checkpoint(f"{where}: {shown(str(error))}") from error
    if not isinstance(value, dict):
        raise bad_checkpoint(f"{where}: a JSON {type(value).__name__} where an object is expected")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f'the key "{key}" stands twice in one object')
            seen.add(key)
    return unique


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _meaning(error: json.JSONDecodeError) -> str:
    """The parser's message; a trailing comma by its name (Python names it itself from 3.13)."""
    before, after = error.doc[: error.pos].rstrip(), error.doc[error.pos :].lstrip()
    if before.endswith(",") and after[:1] in {"}", "]"}:
        return "trailing comma"
    return error.msg
