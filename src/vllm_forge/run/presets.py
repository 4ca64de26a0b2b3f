"""Put CMake presets into a tree of the user's."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Final

from vllm_forge.plan.presets import PRESET, USER_FILE, Preset, include_of, is_ours, presets_of
from vllm_forge.records.codec import render_json
from vllm_forge.records.plan import Compile
from vllm_forge.run.configure import all_definitions
from vllm_forge.run.doing.shelving import whole_configure
from vllm_forge.run.doing.site import Site, action_of
from vllm_forge.run.files import write_atomically
from vllm_forge.run.tools import NOT_HEARD, tool

PRESETS: Final = "forge-presets.json"


def preset_of(site: Site) -> Preset:
    """The run of CMake that a plan's build had, complete."""
    action = whole_configure(site)
    return Preset(
        configure=replace(action, definitions=all_definitions(action)),
        cmake=tool("cmake"),
        programs=tool("ninja").parent,
        unset=NOT_HEARD,
        targets=action_of(site.plan, Compile).targets,
        jobs=int(site.plan.choices["jobs"].value),
    )


def write_presets(preset: Preset, into: Path) -> str | None:
    """The presets into `into`, and a file in the tree that includes them; what to say, if anything.

    A file in the tree that is not ours is left as it is.

    Raises:
        OSError: where they cannot be written.
    """
    tree = Path(preset.configure.source)
    _write(into, presets_of(preset))
    there = tree / USER_FILE
    try:
        before = json.loads(there.read_bytes())
    except OSError:
        before = None
    except ValueError:
        return f"{there} is no JSON, and was left alone"
    if before is not None and not is_ours(before):
        if str(into) in _includes(before):
            return None
        return f'{there} is yours and was left alone; "include": ["{into}"] in it gives {PRESET}'
    wanted = include_of(into)
    if before == wanted:
        return None
    _write(there, wanted)
    return f"{there} written: cmake --preset {PRESET}, cmake --build --preset {PRESET}"


def _includes(document: object) -> list[object]:
    found = document.get("include") if isinstance(document, dict) else None
    return found if isinstance(found, list) else []


def _write(path: Path, document: object) -> None:
    """Not when it says the same: its time of writing would make CMake or an editor load it anew."""
    text = f"{render_json(document)}\n"
    try:
        if path.read_text(encoding="utf-8") == text:
            return
    except (OSError, UnicodeDecodeError):
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text)
