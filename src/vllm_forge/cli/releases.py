"""`releases`: known vLLM releases with their facts; `releases show` reads one."""

from dataclasses import dataclass
from pathlib import Path

from cyclopts import App

from vllm_forge.cli.common import Common, put_json, show
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.release import Release
from vllm_forge.release import known_releases, read_known_release, read_release
from vllm_forge.show.releases import ReleaseLine, line_of, render_release, render_releases

releases = App(name="releases", result_action="return_value")


@dataclass(frozen=True, slots=True)
class ReleasesDocument:
    """cli.md's `releases` document: a line for each."""

    releases: tuple[ReleaseLine, ...]


@dataclass(frozen=True, slots=True)
class ReleaseDocument:
    """The same for `releases show`: one release with every fact."""

    releases: tuple[Release, ...]


@releases.default
def list_releases(*, common: Common = Common()) -> int:  # noqa: B008 -- frozen
    """Known vLLM releases with their facts, oldest first."""
    lines = tuple(line_of(find_release(version)) for version in known_releases())
    if common.json:
        put_json(ReleasesDocument(lines))
    elif not common.quiet:
        show(render_releases(lines))
    return ExitCode.DONE


@releases.command(name="show")
def show_release(which: str, /, *, common: Common = Common()) -> int:  # noqa: B008 -- frozen
    """Every fact of one release or source tree, and where it was read.

    Parameters
    ----------
    which
        A VERSION, or the folder of a source tree.
    """
    release = find_release(which)
    if common.json:
        put_json(ReleaseDocument((release,)))
    elif not common.quiet:
        show(render_release(release))
    return ExitCode.DONE


def find_release(which: str) -> Release:
    """A known version, or an unpacked tree.

    Raises:
        Problem: exit 2 for a version that is not known; 5 for a folder that is no vLLM tree.
    """
    if "/" in which or which.startswith(".") or Path(which).is_dir():
        return read_release(Path(which).expanduser())
    release = read_known_release(which)
    if release is None:
        known = known_releases()
        raise Problem(
            f"vLLM {which} is not among the {len(known)} known releases, {known[0]} to {known[-1]}",
            hints=("vllm-forge releases", "give the folder of its source tree instead"),
            exit_code=ExitCode.USAGE,
        )
    return release
