"""Whether a code host answers: asked only when a choice depends on it, remembered for an hour."""

from pathlib import Path
from time import time

from vllm_forge.records.codec import parse_json, render_json
from vllm_forge.records.doors import RunCommand
from vllm_forge.records.problem import Problem
from vllm_forge.run.files import write_atomically

REMEMBERED_SECONDS = 3600
PATIENCE_SECONDS = 6.0


def read_code_host(url: str, memory: Path, run: RunCommand) -> bool:
    """Ask `git ls-remote URL HEAD`; `memory` is the file where answers are kept.

    git is asked, not the host: the user's mirrors (`url.*.insteadOf`) and proxies count.
    """
    known = _read(memory)
    answer = known.get(url)
    if answer is not None and time() - answer[1] < REMEMBERED_SECONDS:
        return bool(answer[0])
    said = run(
        ["git", "-c", "credential.helper=", "ls-remote", "--exit-code", url, "HEAD"],
        timeout=PATIENCE_SECONDS,
    )
    reached = said.code == 0
    write_atomically(memory, render_json({**known, url: (int(reached), time())}))
    return reached


def _read(memory: Path) -> dict[str, tuple[int, float]]:
    try:
        return parse_json(memory.read_bytes(), dict[str, tuple[int, float]], origin=str(memory))
    except (OSError, Problem):
        return {}
