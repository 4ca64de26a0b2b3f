"""requirements/*.txt and pyproject's build-system: what is installed, for which device."""

import posixpath
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement

from vllm_forge.records.release import RequirementLine, TorchPin
from vllm_forge.release.identity import read_pyproject
from vllm_forge.release.source_tree import SourceTree, bad_tree

DEVICES: Final = ("cuda", "cpu", "rocm", "tpu", "xpu", "hpu", "neuron")
"""Those VLLM_TARGET_DEVICE has known (facts/vllm.md, 5); a tree lists some of them."""

INCLUDES: Final = ("-r", "--requirement")


def read_requirements(tree: SourceTree) -> dict[str, tuple[RequirementLine, ...]]:
    """What requirements/DEVICE.txt installs, for each device that has one."""
    return read_each(tree, {device: (f"requirements/{device}.txt",) for device in DEVICES})


def read_build_environment(tree: SourceTree) -> dict[str, tuple[RequirementLine, ...]]:
    """What a build for each device needs when nothing is isolated.

    requirements/build/DEVICE.txt from 0.20 on; before, build.txt (CUDA) and DEVICE-build.txt.
    """
    paths: dict[str, tuple[str, ...]] = {
        device: (f"requirements/build/{device}.txt", f"requirements/{device}-build.txt")
        for device in DEVICES
    }
    paths["cuda"] = (*paths["cuda"], "requirements/build.txt")
    return read_each(tree, paths)


def read_each(
    tree: SourceTree, paths: dict[str, tuple[str, ...]]
) -> dict[str, tuple[RequirementLine, ...]]:
    """The first existing file for each device; devices without one are left out."""
    found = {
        device: next((path for path in candidates if tree.text(path) is not None), None)
        for device, candidates in paths.items()
    }
    return {
        device: tuple(read_requirement_lines(tree, path))
        for device, path in found.items()
        if path is not None
    }


def read_requirement_lines(
    tree: SourceTree, path: str, seen: frozenset[str] = frozenset()
) -> Iterator[RequirementLine]:
    """`-r FILE` is followed relative to the file that says it; other options are dropped."""
    text = tree.text(path)
    if text is None:
        raise bad_tree(f"{tree.root / path} is missing", "unpack the sdist again")
    for number, raw in logical_lines(text):
        line = raw.partition(" #")[0].strip()
        if not line or line.startswith("#"):
            continue
        option, _, value = line.replace("=", " ", 1).partition(" ")
        if option in INCLUDES:
            included = posixpath.normpath(posixpath.join(posixpath.dirname(path), value.strip()))
            if included not in seen:
                yield from read_requirement_lines(tree, included, seen | {path})
        elif not line.startswith("-"):
            requirement = normalize(line)
            if requirement is not None:
                yield RequirementLine(requirement, f"{path}:{number}")


@lru_cache(maxsize=4096)
def normalize(line: str) -> str | None:
    """PEP 508 as `packaging` writes it; None for a bare URL, which does not say its package."""
    try:
        return str(Requirement(line))
    except InvalidRequirement:
        return None


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with a trailing backslash joined to the next; numbered from 1 by their first."""
    start, held = 1, ""
    for number, line in enumerate(text.splitlines(), 1):
        if not held:
            start = number
        if line.endswith("\\"):
            held += line[:-1]
            continue
        yield start, held + line
        held = ""
    if held:
        yield start, held


def read_build_requirements(tree: SourceTree) -> tuple[RequirementLine, ...]:
    """The build-system.requires: what an isolated build compiles against."""
    requires = read_pyproject(tree).get("build-system", {}).get("requires", [])
    lines = (tree.text("pyproject.toml") or "").splitlines()
    return tuple(
        RequirementLine(str(Requirement(text)), f"pyproject.toml:{line_with(lines, text)}")
        for text in requires
    )


def line_with(lines: list[str], text: str) -> int:
    """The first line that quotes `text`; tomllib does not say where a value stood."""
    quoted = (f'"{text}"', f"'{text}'")
    return next((n for n, line in enumerate(lines, 1) if any(q in line for q in quoted)), 1)


def read_torch_pins(tree: SourceTree) -> tuple[TorchPin, ...]:
    """Every place that says which torch: isolated build, each device, each build file, CMake."""
    pins = list(pins_of("build", read_build_requirements(tree)))
    for device, lines in read_requirements(tree).items():
        pins += pins_of(device, lines)
    for device, lines in read_build_environment(tree).items():
        pins += pins_of(f"build-{device}", lines)
    for command in tree.commands("CMakeLists.txt"):
        words = command.words()
        if command.name == "set" and words[:1] == ("TORCH_SUPPORTED_VERSION_CUDA",):
            pins.append(TorchPin("cmake", f"=={words[1]}", f"CMakeLists.txt:{command.line}"))
    return tuple(pins)


def pins_of(role: str, lines: tuple[RequirementLine, ...]) -> Iterator[TorchPin]:
    """A torch given by URL (TPU nightlies of 0.8) has an empty specifier."""
    for line in lines:
        if not line.requirement.lower().startswith("torch"):
            continue
        requirement = Requirement(line.requirement)
        if requirement.name.lower() == "torch":
            marker = str(requirement.marker) if requirement.marker else None
            yield TorchPin(role, str(requirement.specifier), line.source, marker)
