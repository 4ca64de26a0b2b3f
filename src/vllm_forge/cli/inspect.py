"""`inspect`: what a checkpoint, a source tree, a wheel or a shared object is, and what fits it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import RenderableType

from vllm_forge.checkpoint.facts import facts_of
from vllm_forge.checkpoint.lint import lint
from vllm_forge.checkpoint.read import read_checkpoint
from vllm_forge.checkpoint.scalars import read_scalars
from vllm_forge.cli.common import Common, put_json, show
from vllm_forge.cli.planning import read_here_or_file
from vllm_forge.cli.releases import find_release
from vllm_forge.records.binary import BinaryFacts, WheelFacts
from vllm_forge.records.checkpoint import Checkpoint, CheckpointFacts, Verdict, VerdictWord
from vllm_forge.records.decision import Reason
from vllm_forge.records.finding import Finding
from vllm_forge.records.home import Home
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.release import Release
from vllm_forge.release import known_releases, read_release
from vllm_forge.resolve.match import choose_verdict
from vllm_forge.resolve.run_path import lowest_capability
from vllm_forge.show.binary import render_binary, render_wheel
from vllm_forge.show.checkpoint import render_checkpoint
from vllm_forge.show.releases import render_release
from vllm_forge.verify.binary import read_binary
from vllm_forge.verify.wheel import read_wheel

ELF_MAGIC = b"\x7fELF"
Kind = Literal["checkpoint", "source-tree", "wheel", "shared-object"]


@dataclass(frozen=True, slots=True)
class ReleaseVerdict:
    """One line of `vllm`; `kernels` is `native` or `fallback` on the GPU, None without one."""

    version: str
    verdict: VerdictWord
    quantization: str | None
    because: tuple[Reason, ...]
    kernels: str | None


@dataclass(frozen=True, slots=True)
class InspectDocument:
    """cli.md's `inspect` document. `capability` is the GPU's that the verdicts are for."""

    kind: Kind
    facts: CheckpointFacts | Release | WheelFacts | BinaryFacts
    findings: tuple[Finding, ...] = ()
    vllm: tuple[ReleaseVerdict, ...] = ()
    capability: str | None = None


@dataclass(frozen=True, slots=True)
class Inspected:
    """The document, and the same for people."""

    document: InspectDocument
    rendered: RenderableType


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What a checkpoint is held against."""

    vllm: str | None = None
    """This release, or source tree, alone; else every known release."""
    tensor_parallel_size: Annotated[int, Parameter(validator=Number(gte=1))] | None = None
    """Whether the weights divide over that many GPUs."""
    machine: Path | None = None
    """Judge for the GPU of the machine in FILE (as `doctor --json` prints it), not this one's."""
    gpu_arch: str | None = None
    """Judge for a GPU of that compute capability, as 8.9."""


def inspect(
    path: Path,
    /,
    *,
    questions: Questions = Questions(),
    common: Common = Common(),  # noqa: B008 -- frozen
) -> int:
    """Say what a thing is and what fits it. Neither a GPU nor torch is needed; nothing is run.

    Parameters
    ----------
    path
        A model directory, a vLLM source tree, a wheel, or a shared object.
    """
    inspected = look_at(path, questions, common)
    if common.json:
        put_json(inspected.document)
    elif not common.quiet:
        show(inspected.rendered)
    return ExitCode.DONE


def look_at(path: Path, questions: Questions, common: Common) -> Inspected:
    """By what the path is; a folder that is nothing else is read as a checkpoint, which says so."""
    if path.is_file() and path.suffix == ".whl":
        wheel = read_wheel(path)
        return Inspected(InspectDocument("wheel", wheel), render_wheel(wheel))
    if path.is_file() and is_elf(path):
        binary = read_binary(path)
        return Inspected(InspectDocument("shared-object", binary), render_binary(binary))
    if (path / "CMakeLists.txt").is_file() and (path / "vllm").is_dir():
        release = read_release(path)
        return Inspected(InspectDocument("source-tree", release), render_release(release))
    return look_at_checkpoint(read_checkpoint(path), questions, common)


def is_elf(path: Path) -> bool:
    with path.open("rb") as data:
        return data.read(len(ELF_MAGIC)) == ELF_MAGIC


def look_at_checkpoint(checkpoint: Checkpoint, questions: Questions, common: Common) -> Inspected:
    """Facts, lint, and the verdict of every release that is asked about."""
    facts = facts_of(checkpoint)
    findings = lint(
        checkpoint,
        read_scalars(checkpoint),
        tensor_parallel_size=questions.tensor_parallel_size,
    )
    capability = choose_capability(questions, common.place)
    versions = known_releases() if questions.vllm is None else (questions.vllm,)
    verdicts = [
        choose_verdict(checkpoint, find_release(version), capability) for version in versions
    ]
    document = InspectDocument(
        "checkpoint", facts, findings, tuple(map(line_of, verdicts)), capability
    )
    return Inspected(document, render_checkpoint(facts, findings, in_spans(verdicts)))


def line_of(verdict: Verdict) -> ReleaseVerdict:
    """Without the changes: `repair --dry-run` prints those."""
    return ReleaseVerdict(
        verdict.version,
        verdict.verdict,
        verdict.quantization,
        verdict.because,
        verdict.kernels,
    )


def choose_capability(questions: Questions, home: Home) -> str | None:
    """The one named, else the lowest of the machine's GPUs; None without a GPU.

    Raises:
        Problem: exit 2 for what is no compute capability.
    """
    named = questions.gpu_arch
    if named is None:
        return lowest_capability(read_here_or_file(home, questions.machine).gpus or ())
    if not re.fullmatch(r"[0-9]{1,2}\.[0-9]", named):
        raise Problem(
            f"--gpu-arch {named} is no compute capability",
            hints=("as 8.9; doctor says this machine's",),
            exit_code=ExitCode.USAGE,
        )
    return named


def in_spans(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Neighbouring releases that judge alike as one line, `0.10.1 to 0.11.2`."""
    spans: list[Verdict] = []
    for _, alike in groupby(verdicts, key=said_of):
        first, *rest = alike
        last = f" to {rest[-1].version}" if rest else ""
        spans.append(replace(first, version=f"{first.version}{last}"))
    return spans


def said_of(verdict: Verdict) -> tuple[object, ...]:
    """What a person reads of it."""
    facts = tuple(reason.fact for reason in verdict.because)
    return verdict.verdict, verdict.quantization, facts
