"""`report`: the last build as one HTML file, and as a Chrome trace."""

from dataclasses import dataclass
from pathlib import Path

from vllm_forge.cli.common import Common, put, put_json, say
from vllm_forge.records.home import Home
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.built import find_built
from vllm_forge.run.files import disk_failed, write_atomically
from vllm_forge.run.outcomes import LAST_BUILD, read_last_build
from vllm_forge.run.scheduler import RECORD, read_receipts, read_record
from vllm_forge.show.report import Story, render_report
from vllm_forge.show.schedule import render_summary
from vllm_forge.show.trace import render_trace


@dataclass(frozen=True, slots=True)
class ReportDocument:
    """cli.md's `report` document; `trace` where one was asked for."""

    path: str
    trace: str | None


def report(
    *,
    env: Path | None = None,
    output: Path | None = None,
    trace: Path | None = None,
    common: Common = Common(),  # noqa: B008 -- frozen
) -> None:
    """Write what the last build compiled, when, with how much memory, and what it left alone.

    Parameters
    ----------
    env
        The build that made this environment, instead of the last one.
    output
        The HTML file to write, instead of one beside the build's receipts.
    trace
        Also write the compiles as a Chrome trace, for Perfetto or chrome://tracing.
    """
    home = common.place
    folder = _last_built(home) if env is None else home.receipts(find_built(env, home).key)
    story = read_story(folder)
    page = (output or folder / "report.html").absolute()
    _write(page, render_report(story))
    if trace is not None:
        if story.schedule is None:
            raise nothing_compiled(folder)
        _write(trace.absolute(), render_trace(story.schedule))
    if common.json:
        put_json(ReportDocument(str(page), str(trace.absolute()) if trace else None))
        return
    if not common.quiet:
        if story.compiles_are_older or story.schedule is None:
            say("the last build compiled nothing")
        for line in render_summary(story.schedule) if story.schedule else ():
            say(line)
    put(str(page))


def read_story(folder: Path) -> Story:
    """Everything that a receipts folder tells.

    Raises:
        Problem: exit 2 where no build was recorded, exit 5 for a damaged schedule.
    """
    schedule = read_record(folder / RECORD) if (folder / RECORD).exists() else None
    last = read_last_build(folder)
    if schedule is None and last is None:
        raise nothing_compiled(folder)
    return Story(folder.name, schedule, read_receipts(folder), last)


def _write(path: Path, text: str) -> None:
    try:
        write_atomically(path, text)
    except OSError as error:
        raise disk_failed(error, path) from error


def _last_built(home: Home) -> Path:
    """The receipts folder of the youngest build, a failed one too."""
    receipts = home.path / "receipts"
    found = [*receipts.glob(f"*/{LAST_BUILD}"), *receipts.glob(f"*/{RECORD}")]
    if not found:
        raise nothing_compiled(home.path)
    return max(found, key=lambda path: path.stat().st_mtime_ns).parent


def nothing_compiled(folder: Path) -> Problem:
    return Problem(
        f"nothing was compiled under {folder}",
        hints=("vllm-forge build",),
        exit_code=ExitCode.USAGE,
    )
