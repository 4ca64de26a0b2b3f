"""Which Python the environment is made with."""

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from vllm_forge.records.decision import Chosen, Decision, Reason, Refused
from vllm_forge.records.machine import Machine, Python
from vllm_forge.records.release import Release
from vllm_forge.records.wishes import Wishes


def choose_python(wishes: Wishes, machine: Machine, release: Release) -> Decision[Python]:
    """The newest interpreter in the tree's range, one with its headers before one without.

    The headers (Python.h) are what the extensions are compiled against; without them they have to
    come from the distribution's -dev package.
    """
    allowed = release.python.value
    if allowed is None:
        return Refused(
            "python",
            (Reason("the tree's Python range is unknown", release.python.source),),
            ("give a complete vLLM tree: pyproject.toml says requires-python",),
        )
    if machine.pythons is None:
        return Refused("python", (Reason("the machine's Pythons are unknown", "machine.pythons"),))
    within = [python for python in machine.pythons if fits(python.version, allowed)]
    suitable = [python for python in within if wished(python, wishes.python)]
    because = [
        Reason(f"vLLM {release.version.value} allows Python {allowed}", release.python.source)
    ]
    if wishes.python is not None:
        because.append(Reason(f"--python {wishes.python}", "the command line"))
    if not suitable:
        return Refused(
            "python", (*because, _what_there_is(machine, wishes)), _ways_out(within, allowed)
        )
    best = max(suitable, key=lambda python: (python.headers is not False, Version(python.version)))
    because.append(Reason(f"{best.path} is {best.version}", "asked by running it"))
    return Chosen("python", best, tuple(because))


def fits(version: str, allowed: str) -> bool:
    """Whether a Python version is in the tree's range."""
    try:
        return Version(version) in SpecifierSet(allowed)
    except InvalidSpecifier:
        return False


def wished(python: Python, wish: str | None) -> bool:
    """Whether it is what --python names: a version, its beginning, or a path."""
    if wish is None:
        return True
    if "/" in wish:
        return python.path == wish
    return python.version == wish or python.version.startswith(f"{wish}.")


def _what_there_is(machine: Machine, wishes: Wishes) -> Reason:
    found = sorted({python.version for python in machine.pythons or ()}, key=Version)
    there = f"found: {', '.join(found)}" if found else "no Python was found"
    asked = f"no Python {wishes.python} that it allows" if wishes.python else "none that it allows"
    return Reason(f"{asked}; {there}", "PATH and the usual folders")


def _ways_out(within: list[Python], allowed: str) -> tuple[str, ...]:
    if within:
        return tuple(
            f"--python {version}"
            for version in sorted({_minor(python) for python in within}, key=Version, reverse=True)
        )
    newest = max((minor for minor in range(9, 20) if fits(f"3.{minor}.9", allowed)), default=None)
    if newest is None:
        return ()
    return (
        f"uv python install 3.{newest}",
        f"install it from your distribution: python3.{newest} python3.{newest}-dev",
    )


def _minor(python: Python) -> str:
    return ".".join(python.version.split(".")[:2])
