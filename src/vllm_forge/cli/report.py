"""`report`: the last build's compiles as one HTML file, and as a Chrome trace."""

from dataclasses import dataclass
from pathlib import Path

from vllm_forge.cli.common import Common, put, put_json, say
from vllm_forge.records.home import Home
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.built import find_built
from vllm_forge.run.files import disk_failed, write_atomically
from vllm_forge.run.scheduler import RECORD, read_receipts, read_record
from vllm_forge.show.report import render_report
from vllm_forge.show.schedule import render_summary
from vllm_forge.show.trace import render_trace


@dataclass(frozen=True, slots=True)
class ReportDocument:
    """cli.md's `report` document."""

    path: str
    trace: str


def report(
    *,
    env: Path | None = None,
    output: Path | None = None,
    common: Common = Common(),  # noqa: B008 -- frozen
) -> None:
    """Write what the last build compiled, when, and with how much memory.

    Parameters
    ----------
    env
        The build that made this environment, instead of the one that compiled last.
    output
        The HTML file to write, instead of one beside the build's receipts; the trace lies beside it
        with the ending .trace.json.
    """
    home = common.place
    folder = _last_compiled(home) if env is None else home.receipts(find_built(env, home).key)
    record = read_record(folder / RECORD)
    page = (output or folder / "report.html").absolute()
    trace = page.with_suffix(".trace.json")
    title = f"vllm-forge: {folder.name}, {record.started}"
    try:
        write_atomically(page, render_report(record, read_receipts(folder), title=title))
        write_atomically(trace, render_trace(record))
    except OSError as error:
        raise disk_failed(error, page) from error
    if common.json:
        put_json(ReportDocument(str(page), str(trace)))
        return
    if not common.quiet:
        for line in render_summary(record):
            say(line)
    put(str(page))


def _last_compiled(home: Home) -> Path:
    """The receipts folder whose schedule is the youngest, of a failed build too."""
    found = [*(home.path / "receipts").glob(f"*/{RECORD}")]
    if not found:
        raise Problem(
            f"nothing was compiled under {home.path}",
            hints=("vllm-forge build",),
            exit_code=ExitCode.USAGE,
        )
    return max(found, key=lambda path: path.stat().st_mtime_ns).parent
