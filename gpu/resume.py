"""Go on where an earlier call on such a machine ended: the same plan, its extension put back.

argv: the earlier build's document, the extension it compiled (packed by xz), a folder of wheels,
files to lay into the tree (or ""). Everything but configure and compile is done again; what the
environment says of itself is the earlier build's word on what was compiled.
"""

import json
import lzma
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

import msgspec

from vllm_forge.cli.build import built_of
from vllm_forge.cli.doors import open_doors_of
from vllm_forge.records.home import Home
from vllm_forge.records.plan import (
    Choice,
    Compile,
    Environment,
    Plan,
    PlannedTarget,
    Projects,
    Register,
    Requirements,
    Source,
    Step,
)
from vllm_forge.records.receipt import Receipt
from vllm_forge.records.wishes import Wishes
from vllm_forge.run.built import keep_built
from vllm_forge.run.execute import execute
from vllm_forge.run.home import choose_home

ACTIONS = {
    "projects": Projects,
    "source": Source,
    "environment": Environment,
    "requirements": Requirements,
    "compile": Compile,
    "register": Register,
}


def parse_build(text: bytes) -> tuple[Plan, tuple[Receipt, ...]]:
    """Plan and receipts of a `build --json` document; a configure step's action stays out."""
    document = json.loads(text)
    plan = document["plan"]
    said = zip(plan["steps"], document["receipt"], strict=True)
    pairs = [(step, receipt) for step, receipt in said if step["name"] in ACTIONS]
    steps = tuple(
        Step(
            step["name"],
            step["title"],
            msgspec.convert(step["action"], ACTIONS[step["name"]]),
            tuple(step["after"]),
            step["fingerprint"],
        )
        for step, _ in pairs
    )
    return Plan(
        status="ok",
        key=plan["key"],
        choices=msgspec.convert(plan["choices"], dict[str, Choice]),
        targets=msgspec.convert(plan["targets"], tuple[PlannedTarget, ...]),
        steps=steps,
    ), msgspec.convert([receipt for _, receipt in pairs], tuple[Receipt, ...])


def main() -> None:
    """Prints how long each step took."""
    text, packed, wheels, more = (Path(word) for word in sys.argv[1:5])
    plan, before = parse_build(text.read_bytes())
    home = Home(choose_home(None))
    wishes = Wishes(offline=True, find_links=(wheels,))
    doors = open_doors_of(wishes, home, lambda _event: None)
    kept = tuple(step for step in plan.steps if step.name not in {"configure", "compile"})
    receipts = execute(replace(plan, steps=kept), doors)
    for receipt in receipts:
        print(f"  {receipt.step}: {receipt.seconds} s")
    started = time.monotonic()
    built = built_of(plan, before)
    with lzma.open(packed) as source, Path(built.extensions[0]).open("wb") as target:
        shutil.copyfileobj(source, target)
    if more.is_dir():
        shutil.copytree(more, built.tree, dirs_exist_ok=True)
    keep_built(built, home)
    print(f"  the compiled extension put back: {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
