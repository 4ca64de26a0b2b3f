"""How a checkpoint is run, on the screen."""

import shlex
from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from vllm_forge.records.decision import Chosen, Reason
from vllm_forge.records.run import Output, RunDecision, RunKind
from vllm_forge.show.checkpoint import render_change
from vllm_forge.show.plan import render_refusal

PATHS = {
    RunKind.NATIVE: "as it is",
    RunKind.FALLBACK: "as it is, weight-only on this GPU",
    RunKind.REPAIRED: "through a view with corrected metadata",
    RunKind.DEQUANTIZED: "as an equivalent BF16 checkpoint",
}


def render_decision(decision: RunDecision) -> RenderableType:
    """The path with its reasons, each argument with its own, and what is refused."""
    lines: list[RenderableType] = []
    if decision.path is not None:
        path = decision.path.value
        lines.append(Text.assemble((f"{path.kind}", "bold"), f": runs {PATHS[path.kind]}"))
        lines += [render_reason(reason) for reason in decision.path.because]
        if path.kind is RunKind.REPAIRED:
            lines += [Text(f"  {render_change(change)}") for change in path.verdict.changes]
    lines += [render_choice(chosen) for chosen in (*decision.arguments, *decision.environment)]
    lines += [render_refusal(refusal) for refusal in decision.refused]
    return Group(*lines)


def render_choice(chosen: Chosen[Any]) -> Text:
    """`quantization=modelopt`, and why."""
    text = Text(f"{chosen.subject}={chosen.value}")
    for reason in chosen.because:
        text.append("\n").append_text(render_reason(reason))
    return text


def render_reason(reason: Reason) -> Text:
    return Text(f"  {reason.fact} [{reason.source}]", style="dim")


def render_call(model: str, arguments: Sequence[Chosen[Any]]) -> str:
    """The Python that would do the same."""
    words = [repr(model), *(f"{one.subject}={one.value!r}" for one in arguments)]
    return f"vllm.LLM({', '.join(words)})"


def render_command(command: Sequence[str], environment: dict[str, str]) -> str:
    """The shell line that would do the same."""
    variables = [f"{name}={shlex.quote(value)}" for name, value in environment.items()]
    return " ".join([*variables, shlex.join(command)])


def render_output(output: Output) -> str:
    """The prompt with its continuation; token ids where there is no text."""
    if isinstance(output.prompt, str):
        return f"{output.prompt}{output.text}"
    ids = ",".join(str(token) for token in output.token_ids)
    return output.text or ids
