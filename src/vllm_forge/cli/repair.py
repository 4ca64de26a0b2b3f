"""`repair`: a corrected view of a checkpoint."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from vllm_forge.checkpoint.read import read_checkpoint
from vllm_forge.cli.common import Common, put, put_json, say
from vllm_forge.cli.releases import find_release
from vllm_forge.cli.run import release_of
from vllm_forge.records.checkpoint import Change
from vllm_forge.records.decision import Reason
from vllm_forge.records.home import Home
from vllm_forge.records.problem import ExitCode
from vllm_forge.records.release import Release
from vllm_forge.release import known_releases
from vllm_forge.resolve.match import choose_verdict
from vllm_forge.run.built import find_built
from vllm_forge.run.repair import refuse_output, refuse_unrepairable
from vllm_forge.run.repair import repair as make_view
from vllm_forge.show.checkpoint import render_changes


@dataclass(frozen=True, slots=True)
class RepairDocument:
    """cli.md's `repair` document; `because` says for which release, and why that one."""

    status: Literal["repaired", "planned"]
    output: str
    vllm: str
    because: tuple[Reason, ...]
    changes: tuple[Change, ...]
    quantization: str | None


def repair(
    checkpoint: Path,
    /,
    *,
    output: Path,
    vllm: str | None = None,
    prefer: Literal["config.json", "hf_quant_config.json"] | None = None,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False,
    common: Common = Common(),  # noqa: B008 -- frozen
) -> int:
    """Make a view of a checkpoint that vLLM loads: links to its weights, its metadata put right.

    Parameters
    ----------
    checkpoint
        The model directory; nothing in it is touched.
    output
        A new folder for the view.
    vllm
        The release that has to load it, or the folder of a source tree; else the one built last.
    prefer
        The file that is right, where the two contradict each other.
    dry_run
        Print the changes and stop.
    """
    release, why = choose_release(vllm, common.place)
    verdict = choose_verdict(read_checkpoint(checkpoint), release, prefer=prefer)
    refuse_unrepairable(checkpoint, verdict)
    refuse_output(checkpoint, output)
    changes = verdict.changes
    if not dry_run:
        changes = make_view(checkpoint, output, release, prefer=prefer)
    if common.json:
        status: Literal["repaired", "planned"] = "planned" if dry_run else "repaired"
        put_json(
            RepairDocument(
                status, str(output), verdict.version, (why,), changes, verdict.quantization
            )
        )
    elif not common.quiet:
        say(f"for vLLM {verdict.version}: {why.fact} [{why.source}]")
        for line in render_changes(changes, str(output)):
            put(line)
        if verdict.quantization is not None:
            put(f"  pass --quantization {verdict.quantization} to vLLM {verdict.version}")
    return ExitCode.DONE


def choose_release(wish: str | None, home: Home) -> tuple[Release, Reason]:
    """The one asked for, else the one built last, else the newest known."""
    if wish is not None:
        return find_release(wish), Reason(f"--vllm {wish}", "the command line")
    if home.last.exists():
        built = find_built(None, home)
        return release_of(built), Reason("it was built last", built.environment)
    newest = known_releases()[-1]
    return find_release(newest), Reason("nothing is built yet: the newest known", "releases")
