"""What a shared object or a wheel is, on the screen."""

from collections import Counter
from collections.abc import Sequence

from rich.text import Text

from vllm_forge.records.binary import BinaryFacts, TorchAbi, WheelFacts
from vllm_forge.show.units import render_bytes

TORCH = {
    TorchAbi.NONE: "asks nothing of torch",
    TorchAbi.STABLE: "torch's stable ABI only ({count} symbols)",
    TorchAbi.CXX: "bound to the torch it was compiled against ({count} C++ symbols{abi})",
}


def render_wheel(wheel: WheelFacts) -> Text:
    """A paragraph for each extension."""
    text = Text()
    text.append(f"{wheel.name} {wheel.version}", style="bold")
    text.append(f"  {', '.join(wheel.tags)}\n", style="dim")
    text.append(f"requires {wheel.requires_torch or 'no torch'}\n")
    for extension in wheel.extensions:
        text.append("\n").append_text(render_binary(extension)).append("\n")
    text.rstrip()
    return text


def render_binary(binary: BinaryFacts) -> Text:
    """One shared object: GPU code, torch, system, operators."""
    text = Text()
    text.append(binary.name, style="bold")
    what = "imports as " + binary.module if binary.module else "no Python module"
    stable = ", any Python 3 (abi3)" if binary.abi3 else ""
    text.append(f"  {render_bytes(binary.size)}, {binary.machine}, {what}{stable}\n", style="dim")
    for label, value in (
        ("GPU code", render_gpu_code(binary)),
        ("torch", render_torch(binary)),
        ("needs", ", ".join(binary.needed)),
        ("system", ", ".join(f"{one} {number}" for one, number in binary.floors.items())),
        ("operators", render_operators(binary)),
    ):
        text.append(f"  {label:<10}", style="dim").append(f"{value or 'none'}\n")
    text.rstrip()
    return text


def render_gpu_code(binary: BinaryFacts) -> str:
    """Each architecture with the number of compiled sources that have it, then PTX."""
    if not binary.sources:
        return ""
    covered = " ".join(f"{one} ({count})" for one, count in binary.covered.items())
    ptx = f"; PTX {' '.join(binary.ptx)}" if binary.ptx else ""
    return f"{binary.sources} compiled sources: {covered or 'no machine code'}{ptx}"


def render_torch(binary: BinaryFacts) -> str:
    abi = f", _GLIBCXX_USE_CXX11_ABI={binary.cxx_abi}" if binary.cxx_abi else ""
    return TORCH[binary.torch_abi].format(count=binary.torch_symbols, abi=abi)


def render_operators(binary: BinaryFacts) -> str:
    """How many in each namespace, and those that have a definition alone."""
    counts = Counter(one.namespace or "(namespace unknown)" for one in binary.operators)
    bare = [one.name for one in binary.operators if one.namespace and one.implementation is None]
    said = ", ".join(f"{namespace} {count}" for namespace, count in counts.items())
    return said + render_bare(bare)


def render_bare(names: Sequence[str]) -> str:
    if not names:
        return ""
    return f"; no separate implementation: {', '.join(names[:4])}{' …' * (len(names) > 4)}"  # noqa: PLR2004 -- a few
