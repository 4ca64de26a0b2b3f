"""vLLM releases on the screen."""

from collections.abc import Iterator
from dataclasses import dataclass

from packaging.markers import Marker
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vllm_forge.records.release import Release
from vllm_forge.records.sourced import Sourced

FP4_READER = "ModelOptNvFp4Config"
LINUX = {"platform_machine": "x86_64", "platform_system": "Linux", "sys_platform": "linux"}


@dataclass(frozen=True, slots=True)
class ReleaseLine:
    """What is asked of a release first. `torch` is device → specifier; None: unknown.

    `algorithms` are ModelOpt's that it reads, `fp4` the name of its NVFP4 method.
    """

    version: str | None
    python: str | None
    torch: dict[str, str]
    main_cuda: str | None
    algorithms: tuple[str, ...] | None
    fp4: str | None


def line_of(release: Release) -> ReleaseLine:
    return ReleaseLine(
        version=release.version.value,
        python=release.python.value,
        torch={
            pin.role: pin.specifier
            for pin in reversed(release.torch)
            if pin.role in {"cuda", "cpu"} and is_for_linux(pin.marker)
        },
        main_cuda=release.main_cuda.value,
        algorithms=release.modelopt.algorithms.value,
        fp4=next(
            (one.name for one in release.quantization if one.config_class.value == FP4_READER),
            None,
        ),
    )


def is_for_linux(marker: str | None) -> bool:
    """A line that counts on x86-64 Linux."""
    return marker is None or Marker(marker).evaluate(LINUX)


def render_releases(lines: tuple[ReleaseLine, ...]) -> RenderableType:
    """A row for each; of how ModelOpt's checkpoints are read, what the release before did not."""
    table = Table(box=None, pad_edge=False)
    for title in ("vLLM", "Python", "torch (CUDA)", "torch (CPU)", "CUDA"):
        table.add_column(title, no_wrap=True)
    table.add_column("ModelOpt: new", overflow="fold")
    before: frozenset[str] = frozenset()
    for line in lines:
        reads = reads_of(line)
        table.add_row(
            line.version or "?",
            line.python or "?",
            line.torch.get("cuda", "?").removeprefix("=="),
            line.torch.get("cpu", "?").removeprefix("=="),
            line.main_cuda or "?",
            "unknown" if not reads else "\n".join(one for one in reads if one not in before),
        )
        before |= frozenset(reads)
    return table


def reads_of(line: ReleaseLine) -> tuple[str, ...]:
    """Algorithms; NVFP4 with its method's name, which changed."""
    return tuple(
        f"{name} as {line.fp4}" if name == "NVFP4" and line.fp4 else name
        for name in line.algorithms or ()
    )


def render_release(release: Release) -> RenderableType:
    """Facts with their sources; unknown ones with where they were looked for."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value, source in rows_of(release):
        table.add_row(name, Text.assemble(value, (f"  [{source}]" if source else "", "dim")))
    return Group(table)


def rows_of(release: Release) -> Iterator[tuple[str, str, str]]:
    """Subject, value, source."""
    yield from sourced("Version", release.version)
    yield from sourced("Python", release.python)
    for pin in release.torch:
        marker = f" ; {pin.marker}" if pin.marker else ""
        yield f"torch for {pin.role}", f"{pin.specifier}{marker}", pin.source
    yield from sourced("CUDA of the wheels", release.main_cuda)
    for name, floor in (
        ("g++ for CUDA", release.gcc_floor),
        ("g++ for CPU", release.cpu_gcc_floor),
        ("CMake", release.cmake_floor),
        ("Rust", release.rust_floor),
    ):
        yield from sourced(name, floor)
    for target in release.targets:
        condition = " and ".join(target.condition) or "always"
        yield f"target {target.name}", condition, target.source
    for method in release.quantization:
        if (method.config_class.value or "").startswith("ModelOpt"):
            least = method.min_capability.value
            lowest = (
                "unknown capability" if least is None else f"capability {least // 10}.{least % 10}"
            )
            yield f"method {method.name}", f"from {lowest}", method.min_capability.source
    yield from modelopt_rows(release)
    for project in release.projects:
        where = ", ".join(project.devices) or "any device"
        yield f"fetches {project.name}", f"{project.revision} for {where}", project.source


def modelopt_rows(release: Release) -> Iterator[tuple[str, str, str]]:
    """How it reads ModelOpt's metadata."""
    reading = release.modelopt
    for name, read in (
        ("ModelOpt algorithms", reading.algorithms),
        ("read when nested", reading.nested_algorithms),
        ("reads hf_quant_config.json", reading.reads_hf_quant_config),
        ("reads the flat form", reading.accepts_flat),
        ("reads ignore", reading.reads_ignore),
        ("no quant_method means", reading.empty_method),
    ):
        yield from sourced(name, read)


def sourced(
    name: str, fact: Sourced[str] | Sourced[bool] | Sourced[tuple[str, ...]]
) -> Iterator[tuple[str, str, str]]:
    match fact.value:
        case None:
            yield name, "unknown", fact.source
        case bool() as known:
            yield name, "yes" if known else "no", fact.source
        case str() as text:
            yield name, text, fact.source
        case words:
            yield name, ", ".join(words) or "none", fact.source
