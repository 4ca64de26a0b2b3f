"""What a release has published, for a plan that may take something out of its wheel.

Nothing is asked, and little imported, before a decision wants to know.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vllm_forge.records.problem import Problem
from vllm_forge.records.release import Configured
from vllm_forge.records.reuse import ReadEdits, ReadPublished, ReleaseWheel
from vllm_forge.records.sourced import Sourced
from vllm_forge.run.doors import Doors
from vllm_forge.run.inputs import is_native, read_digests

if TYPE_CHECKING:
    from vllm_forge.run.sdist_manifest import Manifest


def published_for(arch: str, doors: Doors) -> ReadPublished:
    """Ask once for each version: a resolution that tries ways out asks often."""
    answers: dict[str, Sourced[ReleaseWheel]] = {}

    def published(version: str) -> Sourced[ReleaseWheel]:
        from vllm_forge.run.published import read_release_wheel  # noqa: PLC0415 -- as above

        if version not in answers:
            answers[version] = read_release_wheel(version, arch, doors)
        return answers[version]

    return published


def edits_of(tree: Path, doors: Doors) -> ReadEdits:
    """By content, the user's own edits counted; the sdist is fetched when it is asked for."""

    def edits(configured: Configured, release: str) -> Sourced[Mapping[str, tuple[str, ...]]]:
        from vllm_forge.release.reach import read_reach  # noqa: PLC0415 -- as above
        from vllm_forge.run.sdist_manifest import read_manifest  # noqa: PLC0415 -- as above

        try:
            published = read_manifest(release, doors)
        except Problem as problem:
            return Sourced(None, problem.message)
        reach = read_reach(tree, configured, find_changed(tree, published))
        return Sourced(reach, f"compared with the sdist of vLLM {release}")

    return edits


def find_changed(tree: Path, published: "Manifest") -> tuple[str, ...]:
    """Native files that were changed, added or removed; what CMake generates is none of these.

    Where all that changed in a CMake file are sources that it lists more, those stand for it.
    """
    from vllm_forge.release.reach import read_generated_names  # noqa: PLC0415 -- as above

    here = read_digests(tree)
    there = {name: digest for name, digest in published.files.items() if is_native(name)}
    different = {name for name in here.keys() | there.keys() if here.get(name) != there.get(name)}
    added = different - there.keys()
    different -= added & read_generated_names(tree)
    return tuple(
        sorted({file for name in different for file in _amounts_to(name, tree, published)})
    )


def _amounts_to(name: str, tree: Path, published: "Manifest") -> Iterable[str]:
    from vllm_forge.release.cmake_difference import added_sources  # noqa: PLC0415 -- as above

    path = tree / name
    if name not in published.cmake or not path.is_file():
        return (name,)
    text = path.read_text(encoding="utf-8", errors="replace")
    sources = added_sources(published.cmake[name], text)
    return (name,) if sources is None else sources
