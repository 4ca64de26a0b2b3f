"""How many files stock compiles and how many we do, target by target, for each GPU.

`python -m scripts.count_files [VERSION…]` prints a Markdown table; `--files` also names the files
that only stock compiles. Three columns for each GPU:

- every GPU: what `pip install` compiles without TORCH_CUDA_ARCH_LIST on a machine without a GPU:
  every architecture that the tree lists for that nvcc;
- this GPU: with TORCH_CUDA_ARCH_LIST set to it;
- ours: the targets of `plan` for it.

Counted by interpreting the tree's CMake files; targets of a project that CMake fetches only where
a real configure has counted them (docs/measurements.md), else `?`.
"""

import argparse
from dataclasses import dataclass

from vllm_forge.cli.tree_facts import facts_of_release
from vllm_forge.records.facts import TreeFacts
from vllm_forge.records.plan import PlannedTarget
from vllm_forge.records.release import Configured
from vllm_forge.release import known_releases
from vllm_forge.resolve.targets import plan_targets

GPUS = ("8.0", "8.9", "9.0", "12.0")
NVCC = {"12.4": "12.4.131", "12.8": "12.8.93", "13.0": "13.0.88"}


@dataclass(frozen=True, slots=True)
class Counted:
    """One target for one GPU; None where the tree does not say."""

    target: str
    every_gpu: int | None
    this_gpu: int | None
    ours: int | None
    only_stock: tuple[str, ...]


def choose_nvcc(facts: TreeFacts, gpu: str) -> str:
    """The oldest of the usual toolkits, not older than the tree's torch carries, that serves it."""
    newest = facts.release.main_cuda.value or "13.0"
    for minor, full in NVCC.items():
        configured = facts.configured("cuda", nvcc=full, architectures=(gpu,))
        fits = int(minor.split(".")[0]) == int(newest.split(".")[0])
        if fits and configured is not None and configured.architectures:
            return full
    raise SystemExit(f"vLLM {facts.release.version.value}: no nvcc of {', '.join(NVCC)} for {gpu}")


def configure(facts: TreeFacts, nvcc: str, architectures: tuple[str, ...]) -> Configured:
    configured = facts.configured("cuda", nvcc=nvcc, architectures=architectures)
    if configured is None:
        raise SystemExit("the tree's CMake files are not known")
    return configured


def count(facts: TreeFacts, gpu: str, nvcc: str) -> list[Counted]:
    """Every target that either compiles."""
    release = facts.release
    revisions = [project.revision for project in release.projects]
    this = configure(facts, nvcc, (gpu,))
    every = configure(facts, nvcc, this.supported.value or ())
    stock = plan_targets(this, (), (), revisions)
    stock_every = {one.name: one for one in plan_targets(every, (), (), revisions)}
    ours = {one.name: one for one in plan_targets(this, release.gates, (gpu,), revisions)}
    sources = {target.name: target.sources for target in this.targets}
    return [
        Counted(
            one.name,
            files_of(stock_every[one.name]),
            files_of(one),
            files_of(ours[one.name]),
            sources[one.name] if one.build and not ours[one.name].build else (),
        )
        for one in stock
        if stock_every[one.name].build or one.build
    ]


def files_of(target: PlannedTarget) -> int | None:
    return target.files if target.build else 0


def total(counts: list[int | None]) -> str:
    """The sum, with a word where something could not be counted."""
    known = sum(one for one in counts if one is not None)
    unknown = sum(one is None for one in counts)
    return f"{known} + ?" if unknown else str(known)


def render(version: str, gpu: str, nvcc: str, counted: list[Counted]) -> list[str]:
    def cell(value: int | None) -> str:
        return "?" if value is None else str(value)

    shown = [one for one in counted if one.every_gpu != 0 or one.this_gpu != 0]
    names = "; ".join(
        f"`{one.target}` {cell(one.every_gpu)}/{cell(one.this_gpu)}/{cell(one.ours)}"
        for one in shown
    )
    totals = [
        total([one.every_gpu for one in shown]),
        total([one.this_gpu for one in shown]),
        total([one.ours for one in shown]),
    ]
    return [f"| {version} | {gpu} | {nvcc} | {' | '.join(totals)} | {names} |"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", nargs="*", default=["0.10.1", known_releases()[-1]])
    parser.add_argument("--files", action="store_true", help="name what only stock compiles")
    asked = parser.parse_args()
    print("| vLLM | GPU | nvcc | stock, every GPU | stock, this GPU | ours | by target |")
    print("|---|---|---|---|---|---|---|")
    only: list[str] = []
    for version in asked.versions:
        facts = facts_of_release(version)
        if facts is None:
            raise SystemExit(f"{version} is not in the shipped table")
        for gpu in GPUS:
            nvcc = choose_nvcc(facts, gpu)
            counted = count(facts, gpu, nvcc)
            print("\n".join(render(version, gpu, nvcc, counted)))
            only += [f"{version} {gpu}: {file}" for one in counted for file in one.only_stock]
    if asked.files:
        print("\n".join(("", *only)))


if __name__ == "__main__":
    main()
