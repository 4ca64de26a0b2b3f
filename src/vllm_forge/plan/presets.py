"""The planned run of CMake as presets, for people who want plain `cmake --build --preset forge`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final

from vllm_forge.records.plan import Configure

PRESET: Final = "forge"
USER_FILE: Final = "CMakeUserPresets.json"
SCHEMA: Final = 4
"""Of cmake-presets(7): the first that can include; CMake 3.23."""

VENDOR: Final = "vllm-forge"


@dataclass(frozen=True, slots=True)
class Preset:
    """`configure` is complete: with every definition and variable that CMake was run with.

    `unset` are variables that must not leak in; `programs` is put first on PATH. `jobs` compiles
    at once: without a broker nobody shares out memory.
    """

    configure: Configure
    cmake: PurePath
    programs: PurePath
    unset: Sequence[str]
    targets: Sequence[str]
    jobs: int


def presets_of(preset: Preset) -> dict[str, Any]:
    """One configure and one build preset, in the build folder of our own: objects are shared.

    The tree is the install prefix: `cmake --install BUILD --component TARGET` puts an extension
    beside its package, by the tree's own rules.
    """
    action = preset.configure
    return {
        "version": SCHEMA,
        "configurePresets": [
            {
                "name": PRESET,
                "displayName": f"as vllm-forge configured {action.build}",
                "generator": "Ninja",
                "binaryDir": escape(action.build),
                "installDir": escape(action.source),
                "cmakeExecutable": escape(str(preset.cmake)),
                "cacheVariables": _escaped(action.definitions),
                "environment": {
                    **dict.fromkeys(preset.unset),
                    **_escaped(action.variables),
                    "PATH": f"{escape(str(preset.programs))}:$penv{{PATH}}",
                    "LC_ALL": "C.UTF-8",
                },
            }
        ],
        "buildPresets": [
            {
                "name": PRESET,
                "configurePreset": PRESET,
                "jobs": preset.jobs,
                "targets": [escape(target) for target in preset.targets],
            }
        ],
    }


def include_of(presets: PurePath) -> dict[str, Any]:
    """The file in the tree: it includes the presets and says whose it is."""
    return {
        "version": SCHEMA,
        "vendor": {VENDOR: {"made": "by every build of this tree; yours if you take this key out"}},
        "include": [str(presets)],
    }


def is_ours(document: object) -> bool:
    """Whether a file in the tree was made by `include_of`."""
    match document:
        case {"vendor": dict(vendor)}:
            return VENDOR in vendor
        case _:
            return False


def escape(text: str) -> str:
    """CMake expands macros in presets; a dollar itself is one.

    >>> escape("/home/$me/${x}")
    '/home/${dollar}me/${dollar}{x}'
    """
    return text.replace("$", "${dollar}")


def _escaped(values: Mapping[str, str]) -> dict[str, str]:
    return {name: escape(value) for name, value in values.items()}
