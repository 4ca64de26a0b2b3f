"""`serve`: vLLM's own OpenAI server, for a checkpoint."""

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, Final, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from vllm_forge.cli.common import Common, environment, put, put_json, say, show
from vllm_forge.cli.run import (
    Decided,
    EngineOptions,
    RunDocument,
    decide,
    document_of,
    prepare_weights,
    show_undone,
)
from vllm_forge.cli.watching import watching
from vllm_forge.records.plan import Choice
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.run import Mode, RunWishes
from vllm_forge.run.serve import (
    Address,
    Server,
    Stopping,
    choose_address,
    copy_log,
)
from vllm_forge.show.run import render_command, render_decision
from vllm_forge.show.units import render_duration

OURS: Final = {
    "host": "give --host before the --",
    "port": "give --port before the --",
    "uds": "only TCP is awaited here",
    "ssl_certfile": "only plain HTTP is awaited here: put TLS in front of it",
    "ssl_keyfile": "only plain HTTP is awaited here: put TLS in front of it",
    "model": "the checkpoint is the first argument",
}
"""Options of vLLM's that decide where the server is asked whether it is ready."""
SHORT: Final = {"tp": "tensor_parallel_size", "q": "quantization"}


@dataclass(frozen=True, slots=True)
class ServeDocument:
    """Printed once the server answers. SIGTERM to `pid`, which is ours, stops everything."""

    status: Literal["ready"]
    url: str
    pid: int
    checkpoint: str
    vllm: str
    model: str
    choices: dict[str, Choice]
    arguments: dict[str, Any]
    environment: dict[str, str]
    command: tuple[str, ...]
    log: str


def serve(
    checkpoint: Path,
    /,
    *vllm_arguments: str,
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65535))] = 8000,
    host: str = "127.0.0.1",
    options: EngineOptions = EngineOptions(),  # noqa: B008 -- frozen
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False,
    common: Common = Common(),  # noqa: B008 -- frozen
) -> int:
    """Serve a checkpoint with vLLM's OpenAI-compatible server; ^C or SIGTERM stops it.

    Parameters
    ----------
    checkpoint
        The model directory.
    vllm_arguments
        After --: options of `vllm serve`, passed as they are. They win over what is chosen here.
    port
        Where it listens; 0 chooses a free port.
    host
        The address it listens on.
    dry_run
        Print what would be run, and why, and stop.
    """
    given = parse_given(vllm_arguments)
    wishes = wishes_of(options, given)
    home = common.place
    decided = without_given(decide(checkpoint, options.env, wishes, home), given)
    planned = document_of(decided, environment())
    if decided.decision.refused or dry_run:
        return show_undone(planned, decided.decision, common)
    address = choose_address(host, port)
    if not common.quiet:
        show(render_decision(decided.decision), err=True)
    with watching(quiet=common.quiet) as emit:
        model = prepare_weights(decided, home, wishes, emit)
    command = command_of(decided, model, address, given, vllm_arguments)
    if not common.quiet:
        say(render_command(command, planned.environment))
    stopping = Stopping()
    with stopping.listening():
        with watching(quiet=common.quiet) as emit, stopping.listening():
            server = Server(
                command,
                address=address,
                environ={**planned.environment, **environment()},
                log=home.logs(decided.built.key) / f"serve-{address.port}.log",
            )
            with server.ended_on_error():
                ready = server.await_ready(stopping, emit)
        with server.ended_on_error(), following(server.log, quiet=common.quiet):
            if ready:
                announce(document_of_server(planned, server, model, command), common)
                server.await_end(stopping)
            end(server, stopping, common)
    return stopping.exit_code


def parse_given(words: Sequence[str]) -> dict[str, str]:
    """The options among vLLM's arguments, by their Python names; "" for one without a value.

    >>> parse_given(["--max-model-len=512", "-tp", "2", "--enable-chunked-prefill"])
    {'max_model_len': '512', 'tensor_parallel_size': '2', 'enable_chunked_prefill': ''}

    Raises:
        Problem: exit 2 for those that are not passed on.
    """
    given: dict[str, str] = {}
    for place, word in enumerate(words):
        if not word.startswith("-"):
            continue
        option, equals, value = word.partition("=")
        following_word = words[place + 1] if place + 1 < len(words) else ""
        if not equals and not following_word.startswith("-"):
            value = following_word
        name = option.lstrip("-").replace("-", "_")
        given[SHORT.get(name, name)] = value
    for name in given.keys() & OURS.keys():
        option = f"--{name.replace('_', '-')}"
        raise Problem(
            f"{option} is not passed on to vLLM", hints=(OURS[name],), exit_code=ExitCode.USAGE
        )
    return given


def wishes_of(options: EngineOptions, given: dict[str, str]) -> RunWishes:
    """What is given after -- counts as a wish where a decision hangs on it."""
    wishes = options.wishes(Mode.SERVE, text=True)
    size = given.get("tensor_parallel_size", "")
    return replace(
        wishes,
        tokenizer=given.get("tokenizer", wishes.tokenizer),
        trust_remote_code=True if "trust_remote_code" in given else wishes.trust_remote_code,
        tensor_parallel_size=int(size) if size.isdecimal() else wishes.tensor_parallel_size,
    )


def without_given(decided: Decided, given: dict[str, str]) -> Decided:
    """Without the arguments that the user passes to vLLM."""
    left = tuple(one for one in decided.decision.arguments if one.subject not in given)
    return replace(decided, decision=replace(decided.decision, arguments=left))


def command_of(
    decided: Decided, model: Path, address: Address, given: dict[str, str], rest: Sequence[str]
) -> tuple[str, ...]:
    """`vllm serve`, in the user's own folder: paths after -- mean what they say.

    A view or a BF16 copy keeps the name of the checkpoint it is made from.
    """
    path = decided.checkpoint.path
    words = [str(Path(decided.built.environment) / "bin" / "vllm"), "serve", str(model)]
    words += ["--host", address.host, "--port", str(address.port)]
    if "served_model_name" not in given:
        words += ["--served-model-name", path]
    for chosen in decided.decision.arguments:
        option = f"--{chosen.subject.replace('_', '-')}"
        words += [option] if chosen.value is True else [option, str(chosen.value)]
    return (*words, *rest)


def document_of_server(
    planned: RunDocument, server: Server, model: Path, command: tuple[str, ...]
) -> ServeDocument:
    return ServeDocument(
        status="ready",
        url=f"{server.address.url}/v1",
        pid=os.getpid(),
        checkpoint=planned.checkpoint,
        vllm=planned.vllm,
        model=str(model),
        choices=planned.choices,
        arguments=planned.arguments,
        environment=planned.environment,
        command=command,
        log=str(server.log),
    )


def announce(document: ServeDocument, common: Common) -> None:
    """The URL on stdout, once it answers: what a script waits for."""
    if common.json:
        put_json(document)
    else:
        put(document.url)


def end(server: Server, stopping: Stopping, common: Common) -> None:
    """Stop, and say how long it took."""
    started = monotonic()
    if not common.quiet:
        say("stopping; once more to end it at once")
    killed = server.stop(stopping)
    if not common.quiet:
        rest = f"; {len(killed)} processes had to be killed" if killed else ""
        say(f"stopped in {render_duration(monotonic() - started)}{rest}")


@contextmanager
def following(log: Path, *, quiet: bool) -> Iterator[None]:
    """What vLLM says from now on goes to stderr too."""
    done = threading.Event()
    thread = threading.Thread(
        target=copy_log, args=(log, log.stat().st_size, sys.stderr, done), daemon=True
    )
    if not quiet:
        thread.start()
    try:
        yield
    finally:
        done.set()
        if not quiet:
            thread.join()
