"""All configurations of one release in little space: what repeats is written once.

Every nvcc version that a tree's conditions tell apart, every GPU architecture, every class of CPU.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from packaging.version import Version

from vllm_forge.records.release import Configured, ConfiguredTarget, KernelGroup
from vllm_forge.records.sourced import Sourced


@dataclass(frozen=True, slots=True)
class PackedTarget:
    """A ConfiguredTarget whose sources are `runs` of the file list: start, count and so on."""

    name: str
    source: str
    asked: bool | None
    incomplete: str | None
    codes: tuple[str, ...]
    runs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PackedAnswer:
    """A Configured without its question; groups and targets by their place in the lists."""

    supported: Sourced[tuple[str, ...]]
    architectures: tuple[str, ...]
    stopped: Sourced[str]
    warnings: tuple[str, ...]
    groups: tuple[int, ...]
    targets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Packed:
    """`cuda` is nvcc → architecture → answer, `cpu` class of CPU → answer.

    An nvcc version stands for itself and for everything up to the next one listed: the tree's
    conditions do not tell them apart.
    """

    files: tuple[str, ...]
    targets: tuple[PackedTarget, ...]
    groups: tuple[KernelGroup, ...]
    answers: tuple[PackedAnswer, ...]
    cuda: dict[str, dict[str, int]]
    cpu: dict[str, int]


CPU_CLASSES: Mapping[str, tuple[str, ...]] = {
    "amx": ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16"),
    "avx512_bf16": ("avx2", "avx512f", "avx512_bf16", "avx512_vnni"),
    "avx512": ("avx2", "avx512f"),
    "avx2": ("avx2",),
}
"""Flags of /proc/cpuinfo that vLLM's CMake asks for on x86-64, the richest class first."""


class Pool:
    """Values in the order of their first appearance, each once."""

    def __init__(self) -> None:
        self.places: dict[object, int] = {}

    def place(self, value: object) -> int:
        return self.places.setdefault(value, len(self.places))


def pack(cuda: Mapping[str, Mapping[str, Configured]], cpu: Mapping[str, Configured]) -> Packed:
    """The inverse of `unpack` for each of the given configurations."""
    files, targets, groups, answers = Pool(), Pool(), Pool(), Pool()

    def place(configured: Configured) -> int:
        return answers.place(
            PackedAnswer(
                supported=configured.supported,
                architectures=configured.architectures,
                stopped=configured.stopped,
                warnings=configured.warnings,
                groups=tuple(groups.place(group) for group in configured.groups),
                targets=tuple(
                    targets.place(pack_target(target, files)) for target in configured.targets
                ),
            )
        )

    by_nvcc = {nvcc: {arch: place(c) for arch, c in row.items()} for nvcc, row in cuda.items()}
    by_class = {name: place(configured) for name, configured in cpu.items()}
    return Packed(
        files=tuple(str(file) for file in files.places),
        targets=tuple(t for t in targets.places if isinstance(t, PackedTarget)),
        groups=tuple(g for g in groups.places if isinstance(g, KernelGroup)),
        answers=tuple(a for a in answers.places if isinstance(a, PackedAnswer)),
        cuda=by_nvcc,
        cpu=by_class,
    )


def pack_target(target: ConfiguredTarget, files: Pool) -> PackedTarget:
    runs: list[int] = []
    for place in (files.place(source) for source in target.sources):
        if runs and runs[-2] + runs[-1] == place:
            runs[-1] += 1
        else:
            runs += [place, 1]
    return PackedTarget(
        target.name, target.source, target.asked, target.incomplete, target.codes, tuple(runs)
    )


def unpack_target(packed: Packed, target: PackedTarget) -> ConfiguredTarget:
    starts, counts = target.runs[::2], target.runs[1::2]
    return ConfiguredTarget(
        name=target.name,
        sources=tuple(
            file
            for start, count in zip(starts, counts, strict=True)
            for file in packed.files[start : start + count]
        ),
        codes=target.codes,
        source=target.source,
        asked=target.asked,
        incomplete=target.incomplete,
    )


def unpack(packed: Packed, device: str, nvcc: str | None, names: tuple[str, ...]) -> Configured:
    """One configuration; several architectures are the union of each.

    Raises:
        KeyError: an architecture, a class of CPU or an nvcc older than every one listed.
    """
    if device == "cpu":
        answers = [packed.answers[packed.cpu[name]] for name in names]
    else:
        row = packed.cuda[nvcc_class(packed.cuda, nvcc or "0")]
        answers = [packed.answers[row[name]] for name in names]
    stopped = next((a.stopped for a in answers if a.stopped.value is None), answers[0].stopped)
    going = [a for a in answers if a.stopped == stopped]
    return Configured(
        device=device,
        nvcc=nvcc,
        requested=names if device == "cuda" else (),
        supported=answers[0].supported,
        architectures=unique(arch for a in going for arch in a.architectures),
        stopped=stopped,
        warnings=unique(text for a in going for text in a.warnings),
        groups=merge_groups(packed.groups[place] for a in going for place in a.groups),
        targets=merge_targets(
            unpack_target(packed, packed.targets[place]) for a in going for place in a.targets
        ),
    )


def nvcc_class(listed: Iterable[str], nvcc: str) -> str:
    """The newest one listed that is not newer: 12.4.131 is 12.3 where no condition names 12.4."""
    version = Version(".".join(nvcc.split(".")[:2]))
    return max((one for one in listed if Version(one) <= version), key=Version, default=nvcc)


def unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def merge_groups(groups: Iterable[KernelGroup]) -> tuple[KernelGroup, ...]:
    merged: dict[tuple[str, str], KernelGroup] = {}
    for group in groups:
        key = (group.name, group.source)
        before = merged.get(key)
        archs = unique((*(before.architectures if before else ()), *group.architectures))
        merged[key] = KernelGroup(group.name, group.wanted, archs, group.source)
    return tuple(merged.values())


def merge_targets(targets: Iterable[ConfiguredTarget]) -> tuple[ConfiguredTarget, ...]:
    """A target that is a stub for one architecture keeps the place where another defines it."""
    merged: dict[str, ConfiguredTarget] = {}
    for target in targets:
        before = merged.get(target.name, target)
        merged[target.name] = ConfiguredTarget(
            name=target.name,
            sources=unique((*before.sources, *target.sources)),
            codes=unique((*before.codes, *target.codes)),
            source=before.source if before.sources else target.source,
            asked=before.asked,
            incomplete=before.incomplete or target.incomplete,
        )
    return tuple(merged.values())
