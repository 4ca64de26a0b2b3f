"""One name for the folders of every checkout: links in the build folder.

A compile names the tree, the environment and the projects by their folders. Behind a cache it is
given links below its working folder instead, so that the same compile of another checkout has the
same command line, the same debug information and the same object.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

LINKS: Final = "forge"


def link_roots(build: Path, roots: Mapping[str, Path]) -> str:
    """Make build/forge/NAME for each folder; VLLM_FORGE_CACHE_ROOTS' value, longest folder first.

    A folder whose name the launcher's lines cannot hold keeps it.

    Raises:
        OSError: where the build folder cannot be written.
    """
    links = build / LINKS
    links.mkdir(parents=True, exist_ok=True)
    lines = [(str(build), ".")]
    for name, folder in roots.items():
        if not {"\t", "\n"} & set(str(folder)):
            _point(links / name, folder)
            lines.append((str(folder), f"{LINKS}/{name}"))
    lines.sort(key=lambda line: -len(line[0]))
    return "".join(f"{folder}\t{link}\n" for folder, link in lines)


def with_folders(said: str, roots: str) -> str:
    r"""A compiler's words with the folders again, for people.

    >>> with_folders("forge/tree/csrc/a.cu(3): error", "/src/vllm\tforge/tree\n/b\t.\n")
    '/src/vllm/csrc/a.cu(3): error'
    """
    for line in roots.splitlines():
        folder, _, link = line.partition("\t")
        if link.startswith(f"{LINKS}/"):
            said = said.replace(f"{link}/", f"{folder}/")
    return said


def _point(link: Path, folder: Path) -> None:
    if link.is_symlink() and link.readlink() == folder:
        return
    half = link.with_name(f".{link.name}.half")
    half.unlink(missing_ok=True)
    half.symlink_to(folder)
    half.replace(link)
