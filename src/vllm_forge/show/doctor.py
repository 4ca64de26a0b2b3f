"""A machine and what stands in the way, for a terminal of any width."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from vllm_forge.records.finding import Finding, Severity
from vllm_forge.records.machine import Cpu, Machine, Memory, Tools
from vllm_forge.resolve.advice import gib

STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "cyan"}
UNKNOWN = Text("unknown", style="dim")
NONE = Text("none", style="dim")

SHOWN_FLAGS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_bf16": "AVX512-BF16",
    "amx_tile": "AMX",
    "asimd": "NEON",
    "sve": "SVE",
}
"""Of a hundred flags those that choose what the CPU target is compiled for."""


def render_doctor(machine: Machine, findings: Sequence[Finding]) -> RenderableType:
    """The machine as a table of facts, below it one block for each finding and a last line."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in rows_of(machine):
        facts.add_row(name, value)
    blocks = [Padding(render_finding(finding), (1, 0, 0, 0)) for finding in findings]
    return Group(facts, *blocks, Padding(render_verdict(findings), (1, 0, 0, 0)))


def rows_of(machine: Machine) -> Iterator[tuple[str, Text]]:
    """Subject and value, in the order a build meets them. Unknown and none are told apart."""
    yield "System", system_of(machine)
    yield "CPU", cpu_of(machine.cpu)
    yield "Memory", memory_of(machine.memory)
    free = machine.disk.free_bytes
    yield "Disk", UNKNOWN if free is None else Text(f"{gib(free)} free")
    yield "GPU", gpus_of(machine)
    yield "Driver", driver_of(machine)
    yield (
        "CUDA",
        listed(
            None
            if machine.toolkits is None
            else [(each.nvcc or each.version, each.path) for each in machine.toolkits]
        ),
    )
    yield (
        "Compilers",
        listed(
            None
            if machine.compilers is None
            else [(f"{each.name} {each.version}", each.path) for each in machine.compilers]
        ),
    )
    yield (
        "Python",
        listed(
            None
            if machine.pythons is None
            else [
                (each.version, each.path + (", no Python.h" if each.headers is False else ""))
                for each in machine.pythons
            ]
        ),
    )
    yield "Tools", tools_of(machine.tools)
    yield "libnuma", answer(machine.libraries.libnuma, "header and library", "not found")
    yield "Index", answer(machine.reachable.index, "answers", "does not answer")


def system_of(machine: Machine) -> Text:
    if machine.os is None:
        return UNKNOWN
    words = [machine.os.id + (f" {machine.os.version}" if machine.os.version else "")]
    if machine.glibc is not None:
        words.append(f"glibc {machine.glibc}")
    if machine.root is not None:
        words.append("root" if machine.root else "ordinary user")
    return Text(" · ".join(words))


def cpu_of(cpu: Cpu) -> Text:
    words = [word for word in (cpu.arch, cpu.model) if word]
    if cpu.cores is not None:
        words.append(f"{cpu.cores} core{'s' if cpu.cores != 1 else ''}")
    shown = [name for flag, name in SHOWN_FLAGS.items() if flag in (cpu.flags or ())]
    if shown:
        words.append(", ".join(shown))
    return Text(" · ".join(words)) if words else UNKNOWN


def memory_of(memory: Memory) -> Text:
    if memory.total_bytes is None and memory.limit_bytes is None:
        return UNKNOWN
    words = [] if memory.total_bytes is None else [gib(memory.total_bytes)]
    if memory.available_bytes is not None:
        words.append(f"{gib(memory.available_bytes)} available")
    limit = memory.limit_bytes
    words.append("no cgroup limit" if limit is None else f"cgroup limit {gib(limit)}")
    return Text(" · ".join(words))


def gpus_of(machine: Machine) -> Text:
    """Equal ones once, with their number."""
    if machine.gpus is None:
        return UNKNOWN
    lines = []
    for gpu, number in Counter(machine.gpus).items():
        words = [f"{number} x {gpu.name}" if number > 1 else gpu.name]
        words.append(f"capability {gpu.capability or 'unknown'}")
        if gpu.memory_bytes is not None:
            words.append(gib(gpu.memory_bytes))
        lines.append(" · ".join(words))
    return Text("\n".join(lines)) if lines else NONE


def driver_of(machine: Machine) -> Text:
    if machine.driver is None:
        return NONE if machine.gpus is not None else UNKNOWN
    cuda = machine.driver.cuda
    return Text(machine.driver.version + (f" · speaks CUDA up to {cuda}" if cuda else ""))


def listed(lines: Sequence[tuple[str, str]] | None) -> Text:
    """One line for each thing: what it is, and dimmed where it is."""
    if lines is None:
        return UNKNOWN
    if not lines:
        return NONE
    wide = max(len(what) for what, _ in lines)
    parts = [Text.assemble(what.ljust(wide), "  ", (where, "dim")) for what, where in lines]
    return Text("\n").join(parts)


def tools_of(tools: Tools) -> Text:
    named = {name: getattr(tools, name) for name in Tools.__dataclass_fields__}
    found = " · ".join(f"{name} {version}" for name, version in named.items() if version)
    missing = ", ".join(name for name, version in named.items() if not version)
    return Text.assemble(found or "none", (f"\nnot found: {missing}" if missing else "", "dim"))


def answer(value: bool | None, yes: str, no: str) -> Text:  # noqa: FBT001 -- a fact, not a switch
    if value is None:
        return Text("not asked", style="dim")
    return Text(yes if value else no)


def render_finding(finding: Finding) -> RenderableType:
    """Severity and code, the cause, the evidence dimmed, each fix on a line that can be pasted."""
    style = STYLES[finding.severity]
    block = Table.grid(padding=(0, 1))
    block.add_column(no_wrap=True, justify="right", min_width=8)
    block.add_column(overflow="fold")
    head = Text.assemble((finding.severity, style))
    block.add_row(head, Text.assemble(finding.cause, (f"  [{finding.code}]", "dim")))
    for line in finding.evidence:
        block.add_row("", Text(line, style="dim"))
    for line in finding.fix:
        block.add_row(Text("fix", style="green"), Text(line))
    return block


def render_verdict(findings: Sequence[Finding]) -> Text:
    """The last line: how many of each, and what the worst of them means."""
    counts = Counter(finding.severity for finding in findings)
    said = [
        f"{counts[severity]} {severity}{'s' if counts[severity] != 1 else ''}"
        for severity in Severity
        if counts[severity]
    ]
    if counts[Severity.ERROR]:
        ending = "a build would stop here"
    elif counts[Severity.WARNING]:
        ending = "some builds would stop here; `vllm-forge plan` says which"
    else:
        ending = "nothing here stops a build"
    return Text(f"{', '.join(said)}: {ending}" if said else ending[0].upper() + ending[1:])
