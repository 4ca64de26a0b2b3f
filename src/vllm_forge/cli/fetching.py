"""Trees that have to be fetched before they can be read: git, and releases newer than the table."""

import hashlib
from pathlib import Path

from vllm_forge.cli.read_tree import facts_of_tree
from vllm_forge.cli.tree_facts import facts_of_release
from vllm_forge.plan.assemble import Origin
from vllm_forge.records.facts import TreeFacts
from vllm_forge.records.home import Home
from vllm_forge.records.plan import Source
from vllm_forge.run.doors import Doors
from vllm_forge.run.source import find_sdist, obtain_source


def fetch_facts(wish: str, doors: Doors) -> tuple[TreeFacts, Origin]:
    """Facts of `git+URL@REF`, `latest`, or a version that the shipped table does not have."""
    if wish.startswith("git+"):
        return facts_of_git(wish, doors)
    version = str(find_sdist(wish, doors.settings, doors.network).version)
    known = facts_of_release(version)
    if known is not None:
        return known, Origin("sdist")
    return read_fetched(version, doors), Origin("sdist")


def read_fetched(version: str, doors: Doors) -> TreeFacts:
    """A release's facts read from its unpacked sdist."""
    tree = doors.home.source(f"vllm-{version}")
    obtain(Source("sdist", str(tree), version=version), tree, doors)
    return facts_of_tree(tree, doors)


def facts_of_git(wish: str, doors: Doors) -> tuple[TreeFacts, Origin]:
    url, _, ref = wish.removeprefix("git+").rpartition("@")
    if not url or "/" in ref:  # the @ was the user's (git@host:…), or there is none
        url, ref = wish.removeprefix("git+"), "HEAD"
    tree = git_folder(url, ref, doors.home)
    obtain(Source("git", str(tree), url=url, ref=ref), tree, doors)
    return facts_of_tree(tree, doors, ref=ref), Origin("git", url=url, ref=ref)


def git_folder(url: str, ref: str, home: Home) -> Path:
    """Where a git tree is read."""
    mark = hashlib.sha256(f"{url}\0{ref}".encode()).hexdigest()[:8]
    return home.source(f"git-{mark}")


def obtain(source: Source, tree: Path, doors: Doors) -> None:
    if (tree / "CMakeLists.txt").exists():
        return
    obtain_source(
        source,
        downloads=doors.home.downloads,
        settings=doors.settings,
        network=doors.network,
        log=doors.home.logs("sources") / f"{tree.name}.log",
    )
