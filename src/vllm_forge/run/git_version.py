"""The version of a checkout that carries none: as setuptools-scm would tell it from git."""

import re
from pathlib import Path

from packaging.version import InvalidVersion, Version

from vllm_forge.records.doors import RunCommand
from vllm_forge.records.sourced import Sourced

DESCRIBED = re.compile(r"v?(?P<tag>.+)-(?P<distance>\d+)-g(?P<commit>[0-9a-f]+)$")


def read_git_version(tree: Path, ref: str | None, run: RunCommand) -> Sourced[str]:
    """`git describe`, else the ref where it is a version, else a development version of the commit.

    A shallow clone of one commit brings no tags, so the ref that was asked for counts.
    """
    said = run(["git", "-C", tree, "describe", "--tags", "--long", "--match", "v[0-9]*"])
    described = parse_describe(said.stdout.strip()) if said.code == 0 else None
    if described is not None:
        return Sourced(described, "git describe --tags")
    try:
        return Sourced(str(Version(ref or "")), "the git ref")
    except InvalidVersion:
        pass
    commit = run(["git", "-C", tree, "rev-parse", "--short=9", "HEAD"])
    if commit.code != 0:
        return Sourced(None, "looked in vllm/_version.py, PKG-INFO, and git")
    return Sourced(f"0.1.dev0+g{commit.stdout.strip()}", "git rev-parse HEAD")


def parse_describe(said: str) -> str | None:
    """The version setuptools-scm gives: the tag itself, or the next patch's development version.

    >>> parse_describe("v0.10.1-0-g0011223"), parse_describe("v0.10.1-5-g0011223")
    ('0.10.1', '0.10.2.dev5+g0011223')
    """
    match = DESCRIBED.match(said)
    if match is None:
        return None
    try:
        tag = Version(match["tag"])
    except InvalidVersion:
        return None
    if match["distance"] == "0":
        return str(tag)
    *head, last = tag.release
    bumped = ".".join(map(str, (*head, last + 1)))
    return f"{bumped}.dev{match['distance']}+g{match['commit']}"
