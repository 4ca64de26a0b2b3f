"""Sizes and ages as people write them."""

import re

from vllm_forge.records.problem import ExitCode, Problem

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12} | {
    "ki": 1 << 10,
    "mi": 1 << 20,
    "gi": 1 << 30,
    "ti": 1 << 40,
}


def parse_size(text: str) -> int:
    """Bytes of `12GiB`, `12G`, `500MB`, `1073741824`.

    >>> parse_size("12GiB"), parse_size("1.5 GB")
    (12884901888, 1500000000)

    Raises:
        Problem: exit 2 for anything else.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?\s*", text.lower())
    if match is None or match[2] == "i":
        raise Problem(
            f"{text!r} is not a size",
            hints=("write it as 12GiB or 500MB",),
            exit_code=ExitCode.USAGE,
        )
    return int(float(match[1]) * UNITS[match[2]])


SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def parse_age(text: str) -> float:
    """Seconds of `30d`, `12h`, `2w`, `90m`.

    >>> parse_age("30d"), parse_age("1.5h")
    (2592000.0, 5400.0)

    Raises:
        Problem: exit 2 for anything else.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", text.lower())
    if match is None:
        raise Problem(
            f"{text!r} is not an age",
            hints=("write it as 30d, 12h or 2w",),
            exit_code=ExitCode.USAGE,
        )
    return float(match[1]) * SECONDS[match[2]]
