"""Which operators a tree's sources register with torch: definitions and implementations.

`TORCH_LIBRARY(namespace, m)` opens a block of `m.def("schema", …)` and `m.impl("name", key, …)`;
`TORCH_LIBRARY_IMPL(namespace, key, m)` one of implementations alone (torch/library.h, and the same
with STABLE_ before them). vLLM wraps both in macros that end in _EXPAND, and names namespaces by
TORCH_EXTENSION_NAME, which CMake defines as the target's name.
"""

import re
from collections.abc import Iterator
from typing import Final

from vllm_forge.records.compiled import Registration
from vllm_forge.release.cxx_names import certain_lines, strip_comments

LIBRARY: Final = (
    r"TORCH_LIBRARY(?:_FRAGMENT|_IMPL)?(?:_EXPAND)?\s*\(\s*"
    r"(?P<namespace>CONCAT\([^)]*\)|\w+)\s*,\s*(?P<rest>[\w\s,]+)\)\s*\{"
)
CALL: Final = r"\.\s*(?P<verb>def|impl)\s*\(\s*(?P<strings>(?:\"(?:[^\"\\]|\\.)*\"\s*)+)"
TOKEN: Final = re.compile(f"{LIBRARY}|{CALL}")
NAME: Final = re.compile(r"(?:(?P<namespace>\w+)::)?(?P<name>[A-Za-z_]\w*)")
EXTENSION_NAME: Final = "TORCH_EXTENSION_NAME"


def parse_registrations(text: str, source: str, target: str, device: str) -> Iterator[Registration]:
    """What one source registers when it is compiled into `target` for `device`.

    >>> list(parse_registrations('TORCH_LIBRARY(_C, m) { m.def("a(int b) -> ()"); }', "x", "", "cuda"))
    [Registration(operator='_C::a', source='x', implements=False, certain=True)]
    """  # noqa: E501 -- one line of C++
    plain = strip_comments(text)
    sure = set(operators(joined(certain_lines(plain, device)), target))
    for operator, implements in operators(without_directives(plain), target):
        yield Registration(operator, source, implements, (operator, implements) in sure)


def operators(text: str, target: str) -> Iterator[tuple[str, bool]]:
    """(operator, whether it is implemented there rather than defined), each once, in order."""
    namespace = ""
    seen: set[tuple[str, bool]] = set()
    for found in TOKEN.finditer(text):
        if found["verb"] is None:
            namespace = expand(found["namespace"], target)
            continue
        named = NAME.match("".join(re.findall(r'"((?:[^"\\]|\\.)*)"', found["strings"])))
        if named is None or not (named["namespace"] or namespace):
            continue
        one = f"{named['namespace'] or namespace}::{named['name']}", found["verb"] == "impl"
        if one not in seen:
            seen.add(one)
            yield one


def expand(namespace: str, target: str) -> str:
    """`CONCAT(TORCH_EXTENSION_NAME, _cache_ops)` → `_C_cache_ops`.

    >>> expand("CONCAT(TORCH_EXTENSION_NAME, _cache_ops)", "_C"), expand("_C", "x")
    ('_C_cache_ops', '_C')
    """
    words = re.findall(r"\w+", namespace.removeprefix("CONCAT"))
    return "".join(target if word == EXTENSION_NAME else word for word in words)


def joined(lines: list[tuple[str, str]]) -> str:
    return "\n".join(line for directive, line in lines if not directive)


def without_directives(text: str) -> str:
    """Every branch of every condition but those that are false for sure of any NVIDIA build."""
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
