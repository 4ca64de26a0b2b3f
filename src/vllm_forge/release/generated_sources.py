"""Which files vLLM's generator scripts write.

CMake runs them while configuring (`csrc/**/generate*.py`). Running code of a tree to plan is not
done here: the shipped table, made by scripts/release_table.py, knows each script of each release
by its sha256, and a script that did not change since then is known in any tree.
"""

from dataclasses import dataclass
from functools import lru_cache

from vllm_forge.records.codec import parse_json
from vllm_forge.release.shipped import read_shipped

FILE = "generated_sources.json"


@dataclass(frozen=True, slots=True)
class Output:
    """`arguments` are architectures (`8.9`) that give these `files`; "" for a script without."""

    arguments: tuple[str, ...]
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GeneratedTable:
    """sha256 of a script → what it writes, relative to its output folder."""

    schema: int
    scripts: dict[str, tuple[Output, ...]]


@lru_cache(maxsize=1)
def read_table() -> GeneratedTable:
    return parse_json(read_shipped(FILE), GeneratedTable, origin=FILE)


def choose_generated(
    table: GeneratedTable, script: str, arguments: tuple[str, ...]
) -> tuple[str, ...] | None:
    """Files relative to the script's output folder; None for a script or argument not known.

    For several architectures (`8.0,8.9`) the files of each.
    """
    known = {
        argument: output.files
        for output in table.scripts.get(script, ())
        for argument in output.arguments
    }
    asked = arguments[0].split(",") if arguments and "" not in known else [""]
    if not all(argument in known for argument in asked):
        return None
    return tuple(dict.fromkeys(file for argument in asked for file in known[argument]))


def read_leftovers(table: GeneratedTable, script: str) -> frozenset[str]:
    """What any run of the script may have left in its output folder: the next one clears it."""
    outputs = table.scripts.get(script, ())
    return frozenset(file for output in outputs for file in output.files)
