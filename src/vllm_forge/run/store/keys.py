"""Keys. The first says where to look, the second is a digest of everything that was read."""

import os
from collections.abc import Mapping

from vllm_forge.records.store import SCHEMA, Reads
from vllm_forge.run.store.digests import Digests, digest_of
from vllm_forge.run.store.reads import names_that_count
from vllm_forge.run.store.roots import Roots
from vllm_forge.run.store.run_path import without_room

WITHOUT_EFFECT = ("_LAUNCHER", "NVCC_THREADS", "FETCHCONTENT_BASE_DIR", "FETCHCONTENT_QUIET")
"""Endings of definitions that change how a build goes and not what it makes."""


def shallow_key(target: str, module: str, facts: Mapping[str, object]) -> str:
    """`facts` are whatever decides about the extension besides the contents of files."""
    return digest_of({"schema": SCHEMA, "target": target, "module": module, **facts})


def plain_definitions(definitions: Mapping[str, str], roots: Roots) -> dict[str, str]:
    """CMake's -D values with names for folders, without those that have no effect."""
    return {
        name: without_room(roots.named(value))
        for name, value in definitions.items()
        if not name.endswith(WITHOUT_EFFECT)
    }


def deep_key(shallow: str, reads: Reads, roots: Roots, digests: Digests) -> str | None:
    """The key of the contents as they are now; None where a generated file was edited by hand."""
    for root, below, digest in reads.generated:
        if not roots.has(root):
            return None
        now = digests.of(roots.join(root, below))
        if now not in {None, digest}:
            return None
    contents = []
    for root, below in reads.files:
        if not roots.has(root):
            return None
        contents.append((root, below, digests.of(roots.join(root, below)) or "absent"))
    headers = frozenset(os.path.basename(below) for _, below in reads.files)  # noqa: PTH119
    names = []
    for root, _ in reads.folders:
        written = frozenset(below for of, below, _ in reads.generated if of == root)
        names.append((root, names_that_count(root, roots.folder(root), headers, written)))
    return digest_of([shallow, contents, names, reads.generated])
