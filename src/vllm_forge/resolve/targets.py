"""Which of the tree's extension targets this build makes."""

from vllm_forge.records.plan import PlannedTarget
from vllm_forge.records.release import ExtensionTarget, Release
from vllm_forge.resolve.conditions import Situation, judge


def wanted_extensions(release: Release, situation: Situation) -> tuple[ExtensionTarget, ...]:
    """The extensions setup.py would ask for, each name once (0.20 appends `_C` twice)."""
    wanted: dict[str, ExtensionTarget] = {}
    for extension in release.targets:
        if all(judge(test, situation) for test in extension.condition):
            wanted.setdefault(extension.name, extension)
    return tuple(wanted.values())


def plan_targets(release: Release, situation: Situation) -> tuple[PlannedTarget, ...]:
    """Every target of the tree with the verdict and the line that decides."""
    wanted = {extension.name: extension for extension in wanted_extensions(release, situation)}
    planned: dict[str, PlannedTarget] = {}
    for extension in release.targets:
        if extension.name in planned:
            continue
        if extension.name in wanted:
            because = f"setup.py asks for it here ({wanted[extension.name].source})"
            planned[extension.name] = PlannedTarget(extension.name, build=True, because=because)
        else:
            failing = next(
                (test for test in extension.condition if not judge(test, situation)),
                "its condition",
            )
            because = f"not for this build: {failing} ({extension.source})"
            planned[extension.name] = PlannedTarget(extension.name, build=False, because=because)
    return tuple(planned.values())
