"""Keep and find what environments say about themselves."""

from pathlib import Path

from vllm_forge.records.built import FILE_NAME, Built
from vllm_forge.records.codec import parse_json, render_json
from vllm_forge.records.home import Home
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.run.files import write_atomically


def keep_built(built: Built, home: Home) -> None:
    """Into the environment, and as the one that verbs without `--env` mean."""
    write_atomically(Path(built.environment) / FILE_NAME, render_json(built))
    write_atomically(home.last, f"{built.environment}\n")


def find_built(environment: Path | None, home: Home) -> Built:
    """The named environment, else the one built last.

    Raises:
        Problem: exit 2 when nothing was built, exit 5 for a folder that is none of ours.
    """
    if environment is None:
        environment = read_last(home)
        if environment is None:
            raise Problem(
                f"nothing was built under {home.path}",
                hints=("vllm-forge up", "name an environment: --env DIR"),
                exit_code=ExitCode.USAGE,
            )
    path = environment / FILE_NAME
    try:
        text = path.read_bytes()
    except OSError as error:
        raise Problem(
            f"{environment} is no environment of vllm-forge: {path}: {error.strerror}",
            hints=("vllm-forge build --env DIR makes one",),
            exit_code=ExitCode.BAD_INPUT,
        ) from error
    return parse_json(text, Built, origin=str(path))


def read_last(home: Home) -> Path | None:
    """The environment built last; None where there is none, or its file is damaged."""
    try:
        said = home.last.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return Path(said) if said.startswith("/") and "\0" not in said else None
