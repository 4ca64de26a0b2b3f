"""A plan on the screen."""

from collections.abc import Iterator
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vllm_forge.records.decision import Refused
from vllm_forge.records.plan import Plan, PlannedTarget
from vllm_forge.show.units import render_bytes

MOST_REASONS: Final = 2
"""Of an origin: that a target cannot be compiled or was wished for, and where it is; or not."""


def render_plan(plan: Plan, *, explain: bool) -> RenderableType:
    """Choices, targets and steps; with `explain` the reason of each beneath it."""
    parts: list[RenderableType] = [_choices(plan, explain=explain)]
    for refusal in plan.refusals:
        parts += ["", render_refusal(refusal)]
    parts += [Text(f"warning: {warning}", style="yellow") for warning in plan.warnings]
    built = [target for target in plan.targets if target.build]
    left = [target for target in plan.targets if not target.build]
    if built:
        parts += ["", Text("targets", style="bold")]
        mixed = any(target.origin == "reuse" for target in built)
        for target in built:
            parts += _target(target, mixed=mixed, explain=explain)
        if explain:
            parts += [Text(f"  no {target.name}: {target.because}", style="dim") for target in left]
        elif left:
            names = ", ".join(target.name for target in left)
            parts.append(Text(f"  not built: {names} (--explain says why)", style="dim"))
    if plan.steps:
        parts += ["", Text("steps", style="bold")]
        parts += [Text(f"  {n}. {step.title}") for n, step in enumerate(plan.steps, start=1)]
    parts += [Text(f"note: {note}", style="dim") for note in plan.notes]
    if plan.estimate.disk_bytes:
        parts.append(Text(f"needs up to {render_bytes(plan.estimate.disk_bytes)} of disk"))
    return Group(*parts)


def _choices(plan: Plan, *, explain: bool) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for subject, choice in plan.choices.items():
        value = choice.value
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
        table.add_row(subject, Text("none" if shown is None else str(shown)))
        if explain:
            for reason in choice.because:
                table.add_row("", Text(f"{reason.fact} [{reason.source}]", style="dim"))
    return table


def render_refusal(refusal: Refused) -> Text:
    """What cannot be, why, and what can."""
    text = Text(f"refused: {refusal.subject}", style="bold red")
    for reason in refusal.because:
        text.append(f"\n  because {reason.fact} [{reason.source}]", style="not bold default")
    for way in refusal.ways_out:
        text.append(f"\n  way out: {way}", style="not bold green")
    return text


def _target(target: PlannedTarget, *, mixed: bool, explain: bool) -> Iterator[Text]:
    """What is compiled, or taken out of a wheel, and why; `mixed` says that either may be."""
    reused = target.origin == "reuse"
    what = "taken out of the wheel" if reused else "compiled"
    said = f"  {target.name if reused else _counted(target)}: "
    if explain or not (mixed and target.why_origin):
        yield Text(f"{said}{target.because}")
    else:
        first = "; ".join(reason.fact for reason in target.why_origin[:MOST_REASONS])
        yield Text(f"{said}{what}: {first}")
    if explain:
        for reason in target.why_origin:
            yield Text(f"    {what}: {reason.fact} [{reason.source}]", style="dim")


def _counted(target: PlannedTarget) -> str:
    return target.name if target.files is None else f"{target.name} ({target.files} files)"
