"""What a tree's own sources take from torch, file by file."""

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass

from vllm_forge.release.cxx_names import CxxNames, parse_cxx
from vllm_forge.release.source_tree import SourceTree


@dataclass(frozen=True, slots=True)
class TorchUse:
    """One name (`at::Half`) or header (`<ATen/ATen.h>`).

    `file` is where it stands, `units` the sources compiled that contain or include that file.
    """

    name: str
    file: str
    units: tuple[str, ...]


def read_torch_uses(tree: SourceTree, device: str, sources: Iterable[str]) -> tuple[TorchUse, ...]:
    """Uses of the given sources (relative to the tree) and of the headers they include.

    Files that are not in the tree (generated ones, those of fetched projects) say nothing.
    """
    parsed: dict[str, CxxNames | None] = {}
    units: dict[str, list[str]] = {}
    for source in sources:
        for file in included_files(tree, device, source, parsed):
            units.setdefault(file, []).append(source)
    return tuple(
        TorchUse(name, file, tuple(dict.fromkeys(reached)))
        for file, reached in units.items()
        if (names := parsed[file]) is not None
        for name in sorted(names.names | {f"<{header}>" for header in names.headers})
    )


def included_files(
    tree: SourceTree, device: str, source: str, parsed: dict[str, CxxNames | None]
) -> set[str]:
    """The source and every quoted include below it, found next to its includer or below csrc."""
    reached: set[str] = set()
    waiting = [source]
    while waiting:
        file = waiting.pop()
        if file in reached:
            continue
        if file not in parsed:
            text = tree.text(file)
            parsed[file] = None if text is None else parse_cxx(text, device)
        names = parsed[file]
        if names is None:
            continue
        reached.add(file)
        for include in names.includes:
            near = posixpath.normpath(posixpath.join(posixpath.dirname(file), include))
            waiting += [path for path in (near, f"csrc/{include}") if not path.startswith("..")][:2]
    return reached
