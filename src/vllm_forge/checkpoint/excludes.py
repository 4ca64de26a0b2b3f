"""Which modules an `ignore`/`exclude_modules` list names.

vLLM tries, in this order: the exact name, the pattern as a substring, fnmatch (0.33
layers/quantization/modelopt.py:224-264). Up to 0.11 only its NVFP4 class knew wildcards.
Substrings are taken at whole name components here, so that `layers.1` does not stand for layer 10;
ModelOpt never means that.
A list has hundreds of patterns and a model tens of thousands of modules: exact names, components
and `prefix*` are looked up, only other patterns are tried one by one.
"""

from collections.abc import Iterable
from fnmatch import translate
from re import compile as compile_pattern
from typing import Final

WILD: Final = frozenset("*?[")


class Excludes:
    """A compiled list; `module in excludes` answers for one module name."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._names: set[str] = set()
        self._prefixes: set[str] = set()
        wild: list[str] = []
        for pattern in patterns:
            if not WILD & set(pattern):
                self._names.add(pattern)
            elif pattern.endswith("*") and not WILD & set(pattern[:-1]):
                self._prefixes.add(pattern[:-1])
            else:
                wild.append(pattern)
        self._lengths = sorted({len(prefix) for prefix in self._prefixes})
        self._wild = [compile_pattern(translate(pattern)) for pattern in wild]

    def __contains__(self, module: str) -> bool:
        if any(module[:length] in self._prefixes for length in self._lengths):
            return True
        if self._names and any(span in self._names for span in spans(module)):
            return True
        return any(pattern.match(module) for pattern in self._wild)


def spans(module: str) -> Iterable[str]:
    """Every run of whole components: `a.b.c` → a.b.c, a.b, a, b.c, b, c."""
    parts = module.split(".")
    for start in range(len(parts)):
        rest = ".".join(parts[start:])
        while rest:
            yield rest
            rest = rest.rpartition(".")[0]
