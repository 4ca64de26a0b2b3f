"""A plan as `plan` prints it: for people at a terminal and with every reason."""

import io

from inline_snapshot import snapshot
from rich.console import Console, RenderableType

from vllm_forge.records.decision import Reason, Refused
from vllm_forge.records.plan import Choice, Estimate, Plan, PlannedTarget, Source, Step
from vllm_forge.show.plan import render_plan

CHOICES = {
    "vllm": Choice("0.10.1", (Reason("--vllm 0.10.1", "the command line"),)),
    "toolkit": Choice(None, (Reason("no GPU code", "cmake/cpu_extension.cmake"),)),
    "system_packages": Choice(("libnuma-dev", "libnuma1"), (Reason("numa.h is missing", "here"),)),
}
TARGETS = (
    PlannedTarget("_C", build=True, because="setup.py asks for it (setup.py:629)", files=8),
    PlannedTarget("_moe_C", build=False, because="setup.py does not ask for it here"),
)
STEP = Step("source", "vLLM 0.10.1 from the package index", Source("sdist", "/s"), (), "f")


def seen(thing: RenderableType) -> str:
    held = io.StringIO()
    Console(file=held, width=80, color_system=None).print(thing)
    return "\n" + "\n".join(line.rstrip() for line in held.getvalue().splitlines()) + "\n"


def test_a_plan() -> None:
    plan = Plan(
        "ok",
        "vllm-0.10.1",
        CHOICES,
        warnings=("compiled for AVX2",),
        targets=TARGETS,
        steps=(STEP,),
        estimate=Estimate(disk_bytes=9 << 30),
    )
    assert seen(render_plan(plan, explain=False)) == snapshot("""\

vllm             0.10.1
toolkit          none
system_packages  libnuma-dev, libnuma1
warning: compiled for AVX2

targets
  _C (8 files): setup.py asks for it (setup.py:629)
  not built: _moe_C (--explain says why)

steps
  1. vLLM 0.10.1 from the package index
needs up to 9.0 GiB of disk
""")
    assert seen(render_plan(plan, explain=True)) == snapshot("""\

vllm             0.10.1
                 --vllm 0.10.1 [the command line]
toolkit          none
                 no GPU code [cmake/cpu_extension.cmake]
system_packages  libnuma-dev, libnuma1
                 numa.h is missing [here]
warning: compiled for AVX2

targets
  _C (8 files): setup.py asks for it (setup.py:629)
  no _moe_C: setup.py does not ask for it here

steps
  1. vLLM 0.10.1 from the package index
needs up to 9.0 GiB of disk
""")


def test_a_refusal_says_why_and_what_can() -> None:
    refusal = Refused(
        "compiler",
        (Reason("at least g++ 9.0", "PyTorch's headers"), Reason("found: no g++", "PATH")),
        ("apt-get install g++",),
    )
    plan = Plan("refused", "", {"vllm": CHOICES["vllm"]}, (refusal,))
    assert seen(render_plan(plan, explain=False)) == snapshot("""\

vllm  0.10.1

refused: compiler
  because at least g++ 9.0 [PyTorch's headers]
  because found: no g++ [PATH]
  way out: apt-get install g++
""")
