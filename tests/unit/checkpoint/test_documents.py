"""JSON from strangers."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vllm_forge.checkpoint.documents import parse_object
from vllm_forge.records.problem import ExitCode, Problem

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)


def outcome(data: bytes) -> dict[str, Any] | Problem:
    try:
        return parse_object(data, origin="x.json")
    except Problem as problem:
        return problem


def complaint(data: bytes) -> str:
    with pytest.raises(Problem) as caught:
        parse_object(data, origin="x.json")
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert caught.value.message.isprintable()
    return caught.value.message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"a": 1,}', "x.json: line 1, column 9: trailing comma"),
        (b'{"a": [1,\n]}', "x.json: line 2, column 1: trailing comma"),
        (b'{"a": 1, "a": 2}', 'x.json: the key "a" stands twice in one object'),
        (b'{"b": {"a": 1, "a": 1}}', 'x.json: the key "a" stands twice in one object'),
        (b'{"a": NaN}', "x.json: NaN is not JSON"),
        (b'{"a": -Infinity}', "x.json: -Infinity is not JSON"),
        (b"[]", "x.json: a JSON list where an object is expected"),
        (b"", "x.json: line 1, column 1: Expecting value"),
        (b'{"a": 1} {"b": 2}', "x.json: line 1, column 10: Extra data"),
        (b"[" * 100_000, "x.json: nested too deeply"),
    ],
)
def test_what_is_not_json(data: bytes, message: str) -> None:
    assert complaint(data) == message


@pytest.mark.parametrize("data", [b'\xff{"a": 1}', b'\xef\xbb\xbf{"a": 1}', b'{"\\ud800": 1}'])
def test_what_is_not_text(data: bytes) -> None:
    assert complaint(data).startswith("x.json: ")


def test_a_number_of_a_million_digits() -> None:
    assert "digits" in complaint(b'{"a": ' + b"9" * 1_000_000 + b"}")


def test_too_many_values_cost_no_memory() -> None:
    data = b'{"a": [' + b"{}," * 5_000_000 + b"0]}"
    tracemalloc.start()
    message = complaint(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert message == "x.json: more than 4000000 values"
    assert peak < 1 << 20


@settings(max_examples=30)
@given(st.dictionaries(st.text(st.characters(codec="utf-8")), JSON))
def test_json_comes_back(value: dict[str, Any]) -> None:
    assert parse_object(json.dumps(value).encode(), origin="x.json") == value


@given(st.binary(max_size=200))
def test_any_bytes_give_an_object_or_one_line(data: bytes) -> None:
    result = outcome(data)
    if isinstance(result, Problem):
        assert result.exit_code is ExitCode.BAD_INPUT
        assert result.message.isprintable()
