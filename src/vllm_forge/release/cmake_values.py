"""CMake's values: everything is a string, a list is a string with semicolons.

Rules from the manual pages cmake-language(7), cmake-commands(7) `list`, `string` and `if`.
"""

import re
from functools import lru_cache
from typing import Final

FALSE: Final = frozenset({"", "0", "OFF", "NO", "FALSE", "N", "IGNORE", "NOTFOUND"})
TRUE: Final = frozenset({"1", "ON", "YES", "TRUE", "Y"})

REGEX_TOKEN: Final = re.compile(r"\[\^?\]?[^\]]*\]|\\.|[{}]", re.DOTALL)
"""What is written otherwise in Python: bracket expressions, escapes, braces."""


def split_list(value: str) -> list[str]:
    r"""`a;b` → a, b; `\;` stays one element; the empty string is the empty list."""
    if not value:
        return []
    if "\\" not in value:
        return value.split(";")
    return [part.replace("\\;", ";") for part in re.split(r"(?<!\\);", value)]


def join_list(values: list[str]) -> str:
    """No escaping: a value with semicolons becomes several elements, as in CMake."""
    return ";".join(values)


def is_true_constant(value: str) -> bool:
    upper = value.upper()
    return upper in TRUE or (
        re.fullmatch(r"-?\d+(\.\d+)?", value) is not None and float(value) != 0
    )


def is_false_constant(value: str) -> bool:
    upper = value.upper()
    return upper in FALSE or upper.endswith("-NOTFOUND")


def compare_versions(left: str, right: str) -> int:
    """-1, 0 or 1; components after the first that is no number do not count: 12.0a equals 12.0."""
    ours, theirs = version_components(left), version_components(right)
    length = max(len(ours), len(theirs))
    ours += [0] * (length - len(ours))
    theirs += [0] * (length - len(theirs))
    return (ours > theirs) - (ours < theirs)


def version_components(text: str) -> list[int]:
    match = re.match(r"\d+(\.\d+)*", text)
    return [int(part) for part in match.group().split(".")] if match else [0]


def natural_key(value: str) -> list[tuple[int, int, str]]:
    """`list(SORT … COMPARE NATURAL)`: runs of digits by their number, the rest as text."""
    parts = re.findall(r"\d+|\D+", value)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


@lru_cache(maxsize=512)
def compile_regex(pattern: str) -> re.Pattern[str]:
    r"""CMake's regular expressions in Python's.

    CMake has no counted repetition, so braces stand for themselves; `\a` is the letter a, not a
    class; within brackets a backslash is one of the characters.
    """
    return re.compile(REGEX_TOKEN.sub(translate_regex, pattern), re.DOTALL)


def translate_regex(token: re.Match[str]) -> str:
    text = token.group()
    if text.startswith("["):
        closing = text.index("]", 3 if text[1] == "^" else 2)
        inside = text[1:closing].replace("\\", "\\\\").replace("[", "\\[")
        return f"[{inside}]"
    return re.escape(text[-1])


def replace_regex(pattern: str, replacement: str, text: str) -> str:
    r"""`string(REGEX REPLACE)`; `\0`…`\9` are the groups, one that took no part is empty."""
    return compile_regex(pattern).sub(
        lambda match: re.sub(
            r"\\(\d)",
            lambda digit: (
                (match.group(int(digit[1])) or "") if int(digit[1]) <= match.re.groups else ""
            ),
            replacement,
        ),
        text,
    )
