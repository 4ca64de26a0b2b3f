"""Records ↔ JSON. The path of a bad value comes with the error."""

from typing import Any, TypeVar

import msgspec

from vllm_forge.records.problem import ExitCode, Problem

T = TypeVar("T")


def to_builtins(record: object) -> Any:  # noqa: ANN401 -- JSON is what Any is for
    """Dataclasses to dicts and lists, ready for any encoder."""
    return msgspec.to_builtins(record)


def render_json(record: object, *, indent: int = 2) -> str:
    """One JSON document."""
    return msgspec.json.format(msgspec.json.encode(record), indent=indent).decode()


def parse_json(text: bytes | str, kind: type[T], *, origin: str) -> T:
    """JSON text to a record; `origin` (a path) is named when it does not fit.

    Raises:
        Problem: exit 5, with the JSON path of the offending value.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(f"{origin}: {error}", exit_code=ExitCode.BAD_INPUT) from error
