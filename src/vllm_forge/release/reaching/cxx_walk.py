"""Which files of a target the operators in use lead to, function by function."""

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from vllm_forge.release.reaching.cxx_functions import CxxFile, parse_functions
from vllm_forge.release.source_tree import SourceTree


@dataclass(slots=True)
class Sources:
    """Files of one tree, parsed once, with the headers below each.

    `written` are those that a script writes: what one build left of them says nothing.
    """

    tree: SourceTree
    macros: Mapping[str, bool]
    capabilities: tuple[int, ...]
    written: frozenset[str] = frozenset()
    _files: dict[str, CxxFile | None] = field(default_factory=dict)
    _below: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def file(self, path: str) -> CxxFile | None:
        """None for what is not in the tree: generated, or another project's."""
        if path not in self._files:
            text = None if path in self.written else self.tree.text(path)
            self._files[path] = (
                None if text is None else parse_functions(text, self.macros, self.capabilities)
            )
        return self._files[path]

    def with_headers(self, path: str) -> tuple[str, ...]:
        """The file and every quoted include below it, found near its includer or below csrc."""
        if path not in self._below:
            reached: dict[str, None] = {}
            waiting = [path]
            while waiting:
                current = waiting.pop()
                file = None if current in reached else self.file(current)
                if file is None:
                    continue
                reached[current] = None
                for include in file.includes:
                    near = posixpath.normpath(posixpath.join(posixpath.dirname(current), include))
                    waiting += [one for one in (near, f"csrc/{include}") if one[:2] != ".."]
            self._below[path] = tuple(reached)
        return self._below[path]


def read_needed(
    sources: Sources, paths: Iterable[str], kept: Iterable[str], used: frozenset[tuple[str, str]]
) -> frozenset[str]:
    """The files of `paths` that are needed: by `kept` ones, or by an operator of `used`.

    `used` are (namespace, name); `*` as a name is any. An operator whose namespace is a macro's
    expansion is matched by its name alone. A function of another file is found where a header or
    the file itself declares it, as the compiler would.
    """
    known = [path for path in paths if sources.file(path) is not None]
    walk = _Walk(sources, _definers(sources, known))
    for path in kept:
        walk.need(path)
    names = {name for _, name in used}
    spaces = {space for space, name in used if name == "*"}
    for path in known:
        file = sources.file(path)
        for one in file.registrations if file else ():
            if bare_name(one.name) in names or one.space in spaces:
                walk.need(path)
                walk.use(path, one.uses)
    walk.run()
    return frozenset(walk.needed)


def bare_name(name: str) -> str:
    """Without namespace and overload: `_C::scaled_fp4_quant.out` is `scaled_fp4_quant`."""
    return name.rpartition("::")[2].partition(".")[0]


def _definers(sources: Sources, paths: list[str]) -> dict[str, list[str]]:
    """Name → the sources (not headers) that define it."""
    definers: dict[str, list[str]] = {}
    for path in paths:
        file = sources.file(path)
        for name in file.definitions if file else ():
            definers.setdefault(name, []).append(path)
    return definers


@dataclass(slots=True)
class _Walk:
    sources: Sources
    definers: Mapping[str, list[str]]
    needed: set[str] = field(default_factory=set)
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _queue: list[tuple[str, str]] = field(default_factory=list)

    def need(self, path: str) -> None:
        """What a file runs when it is loaded counts as used."""
        if path in self.needed:
            return
        self.needed.add(path)
        for one in self.sources.with_headers(path):
            file = self.sources.file(one)
            if file is not None:
                self.use(path, file.loose)

    def use(self, path: str, names: Iterable[str]) -> None:
        for name in names:
            if (path, name) not in self._seen:
                self._seen.add((path, name))
                self._queue.append((path, name))

    def run(self) -> None:
        while self._queue:
            path, name = self._queue.pop()
            declared = False
            for one in self.sources.with_headers(path):
                file = self.sources.file(one)
                if file is None:
                    continue
                declared |= name in file.declared
                if name in file.definitions:
                    self.use(path, file.definitions[name])
            if declared:
                for other in self.definers.get(name, ()):
                    self.need(other)
                    self.use(other, (name,))
