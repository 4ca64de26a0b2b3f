"""`run`: text from a checkpoint, with the built vLLM."""

from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from vllm_forge.checkpoint.facts import facts_of
from vllm_forge.checkpoint.read import read_checkpoint
from vllm_forge.cli.common import Common, environment, put, put_json, show
from vllm_forge.cli.watching import watching
from vllm_forge.probe import read_machine
from vllm_forge.records.built import Built
from vllm_forge.records.checkpoint import Checkpoint
from vllm_forge.records.decision import Chosen, Refused
from vllm_forge.records.event import Emit, Note
from vllm_forge.records.home import Home
from vllm_forge.records.plan import Choice
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.release import Release
from vllm_forge.records.run import Generated, Mode, Output, RunDecision, RunPath, RunWishes
from vllm_forge.release import read_known_release, read_release
from vllm_forge.resolve.run_path import Asked, choose_run
from vllm_forge.run.built import find_built
from vllm_forge.run.generate import Request, generate
from vllm_forge.run.prepare import prepare
from vllm_forge.run.process import run_command
from vllm_forge.show.run import render_call, render_decision, render_output


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """Shared by run and serve."""

    env: Path | None = None
    """The environment; else the one built last."""
    trust_remote_code: bool | None = None
    """Run the Python that the model brings; without this option such a model is refused."""
    tokenizer: str | None = None
    """Folder of the tokenizer, when the checkpoint has none."""
    tensor_parallel_size: Annotated[int, Parameter(validator=Number(gte=1))] | None = None
    """Spread the model over that many GPUs."""
    max_model_len: Annotated[int, Parameter(validator=Number(gte=1))] | None = None
    """Longest prompt and answer together, in tokens."""
    prefer: Literal["config.json", "hf_quant_config.json"] | None = None
    """The file that is right, where the two contradict each other."""

    def wishes(self, mode: Mode, *, text: bool) -> RunWishes:
        return RunWishes(
            mode=mode,
            text=text,
            tokenizer=self.tokenizer,
            trust_remote_code=self.trust_remote_code,
            tensor_parallel_size=self.tensor_parallel_size,
            max_model_len=self.max_model_len,
            prefer=self.prefer,
        )


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class PromptOptions:
    """What goes in and how much comes out."""

    prompt: list[str] | None = None
    """Text to continue; may be given several times."""
    prompt_token_ids: str | None = None
    """Token ids to continue, as 1,2,3: for a checkpoint without tokenizer."""
    max_tokens: Annotated[int, Parameter(validator=Number(gte=1))] = 64
    """At most that many tokens come out for each prompt."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision with the facts it was made from."""

    checkpoint: Checkpoint
    built: Built
    release: Release
    decision: RunDecision


@dataclass(frozen=True, slots=True)
class RunDocument:
    """cli.md's `run` document. `model` is the folder that was loaded, None where nothing was."""

    status: Literal["generated", "planned", "refused"]
    checkpoint: str
    vllm: str
    model: str | None
    choices: dict[str, Choice]
    arguments: dict[str, Any]
    environment: dict[str, str]
    refusals: tuple[Refused, ...] = ()
    outputs: tuple[Output, ...] = ()
    seconds: dict[str, float] | None = None


def run(
    checkpoint: Path,
    /,
    *,
    asked: PromptOptions = PromptOptions(),
    options: EngineOptions = EngineOptions(),
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False,
    common: Common = Common(),  # noqa: B008 -- frozen
) -> int:
    """Generate with the built vLLM; the way to run this checkpoint here is chosen and shown.

    Parameters
    ----------
    checkpoint
        The model directory.
    dry_run
        Print what would be run, and why, and stop.
    """
    prompts = parse_prompts(asked.prompt, asked.prompt_token_ids)
    home = common.place
    wishes = options.wishes(Mode.GENERATE, text=asked.prompt is not None)
    decided = decide(checkpoint, options.env, wishes, home)
    document = document_of(decided, environment())
    if decided.decision.refused or dry_run:
        return show_undone(document, decided.decision, common)
    if not common.quiet:
        show(render_decision(decided.decision), err=True)
    with watching(quiet=common.quiet) as emit:
        done, generated = generate_from(
            decided, document, Asking(prompts, asked.max_tokens, wishes), home, emit
        )
    show_outputs(done, generated, common)
    return ExitCode.DONE


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked of the engine, and how."""

    prompts: tuple[str | tuple[int, ...], ...]
    max_tokens: int
    wishes: RunWishes


def generate_from(
    decided: Decided, document: RunDocument, asking: Asking, home: Home, emit: Emit
) -> tuple[RunDocument, Generated]:
    """Prepare the weights as decided, load them, generate."""
    model = prepare_weights(decided, home, asking.wishes, emit)
    emit(Note(monotonic(), render_call(str(model), decided.decision.arguments)))
    request = Request(
        model,
        asking.prompts,
        asking.max_tokens,
        document.arguments,
        document.environment,
        offline=not any("--" in name for name in decided.checkpoint.model.remote_code),
    )
    generated = generate(request, decided.built, home, environment(), emit)
    return replace(document, status="generated", model=str(model)), generated


def parse_prompts(texts: list[str] | None, ids: str | None) -> tuple[str | tuple[int, ...], ...]:
    """Texts, or one list of token ids.

    Raises:
        Problem: exit 2 for none, for both, and for what are no token ids.
    """
    if (texts is None) == (ids is None):
        raise Problem("give --prompt TEXT, or --prompt-token-ids 1,2,3", exit_code=ExitCode.USAGE)
    if texts is not None:
        return tuple(texts)
    words = [word.strip() for word in (ids or "").split(",")]
    if not all(word.isdecimal() and word.isascii() for word in words):
        raise Problem(
            f"--prompt-token-ids {ids}: not numbers with commas between", exit_code=ExitCode.USAGE
        )
    return (tuple(int(word) for word in words),)


def decide(path: Path, env: Path | None, wishes: RunWishes, home: Home) -> Decided:
    """Read the checkpoint, the build and this machine; then choose."""
    checkpoint = read_checkpoint(path)
    built = find_built(env, home)
    release = release_of(built)
    asked = Asked(
        checkpoint=checkpoint,
        parameters=facts_of(checkpoint).parameters,
        release=release,
        device=built.device,
        machine=read_machine(run_command, home=home.path),
        wishes=wishes,
        gpu_arch=built.gpu_arch,
        made_for=built.made_for,
        flashinfer=built.device == "cpu" or has_module(built.environment, "flashinfer"),
    )
    return Decided(checkpoint, built, release, choose_run(asked))


def has_module(environment: str, name: str) -> bool:
    """Whether the environment's Python finds a module, one lent to it included; imports nothing."""
    code = f"import importlib.util as u, sys; sys.exit(u.find_spec({name!r}) is None)"
    return run_command([Path(environment) / "bin" / "python", "-I", "-c", code]).code == 0


def release_of(built: Built) -> Release:
    """The facts of the tree that was built; the table's, where the tree is gone."""
    tree = Path(built.tree)
    if tree.is_dir():
        return read_release(tree)
    known = read_known_release(built.version.partition("+")[0])
    if known is None:
        raise Problem(
            f"the source tree of {built.environment} is gone: {tree}",
            hints=("vllm-forge build makes it again",),
        )
    return known


def document_of(decided: Decided, environ: dict[str, str]) -> RunDocument:
    """Before anything ran. A variable that the user has set is the user's."""
    decision = decided.decision
    chosen: list[Chosen[Any]] = [*decision.arguments, *decision.environment]
    choices = {one.subject: Choice(one.value, one.because) for one in chosen}
    if decision.path is not None:
        path: Chosen[RunPath] = decision.path
        choices = {"path": Choice(path.value.kind, path.because), **choices}
    return RunDocument(
        status="refused" if decision.refused else "planned",
        checkpoint=decided.checkpoint.path,
        vllm=decided.built.version,
        model=None,
        choices=choices,
        arguments={one.subject: one.value for one in decision.arguments},
        environment={
            one.subject: environ.get(one.subject, one.value) for one in decision.environment
        },
        refusals=decision.refused,
    )


def show_undone(document: RunDocument, decision: RunDecision, common: Common) -> int:
    """A refusal, or what a dry run says."""
    refused = bool(decision.refused)
    if common.json:
        put_json(document)
    elif refused or not common.quiet:
        show(render_decision(decision), err=refused)
    return ExitCode.REFUSED if refused else ExitCode.DONE


def prepare_weights(decided: Decided, home: Home, wishes: RunWishes, emit: Emit) -> Path:
    """The folder that the engine loads."""
    chosen = decided.decision.path
    if chosen is None:
        raise ValueError("nothing was chosen")
    return prepare(
        decided.checkpoint,
        chosen.value,
        decided.release,
        home=home,
        python=Path(decided.built.python),
        emit=emit,
        prefer=wishes.prefer,
    )


def show_outputs(document: RunDocument, generated: Generated, common: Common) -> None:
    """The answers on stdout, or the document."""
    if common.json:
        put_json(replace(document, outputs=generated.outputs, seconds=generated.seconds))
        return
    for output in generated.outputs:
        put(render_output(output))
