"""What a lock needs from the world: the source's digest, and the packages with their hashes."""

import tempfile
from pathlib import Path

from vllm_forge.plan.lock import requirement_text
from vllm_forge.records.plan import Environment, Plan, Source
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.doors import Doors
from vllm_forge.run.index import uv_environment
from vllm_forge.run.inputs import read_native_digest
from vllm_forge.run.source import find_sdist, read_published
from vllm_forge.run.uv import Uv, resolve_as_of


def read_source_digest(source: Source, doors: Doors) -> str | None:
    """The sdist's sha256 as the index says, a tree's content digest; a git ref pins itself."""
    if source.origin == "sdist":
        return find_sdist(source.version or "", doors.settings, doors.network).sha256
    if source.origin == "tree":
        return read_native_digest(Path(source.path))
    return None


def resolve_packages(plan: Plan, doors: Doors) -> str:
    """A requirements file with hashes, resolved for the planned Python; nothing is installed."""
    actions = [step.action for step in plan.steps]
    source = next(action for action in actions if isinstance(action, Source))
    environment = next(action for action in actions if isinstance(action, Environment))
    published = read_published(source, doors.settings, doors.network, doors.run)
    log = doors.home.logs(plan.key) / "lock.log"
    uv = Uv(uv_environment(doors.settings, doors.environ), log, doors.offline)
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text(requirement_text(plan))
        resolved = Path(folder) / "resolved.txt"

        def resolve(client: Uv, *date: str) -> None:
            client(
                *("pip", "compile", wanted, "--generate-hashes", "--no-header", "--no-annotate"),
                *("--python", environment.python, "--output-file", resolved),
                *date,
                failed="the tree's requirements have no common solution",
            )

        resolve_as_of(resolve, uv, published, lambda _message: None)
        return resolved.read_text()


def read_lock_text(path: Path) -> bytes:
    """The lock file's bytes.

    Raises:
        Problem: exit 5 when it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}", exit_code=ExitCode.BAD_INPUT) from error
