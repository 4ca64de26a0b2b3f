"""Prove that an environment imports what was built, and say why when it does not."""

import json
import re
from pathlib import Path

from vllm_forge.records.check import Check, CheckStatus
from vllm_forge.records.doors import RunCommand

IMPORT_SECONDS = 600.0
"""A limit against hanging, not a measure: on a crowded machine torch alone takes minutes."""

IMPORT = """
import json
import re
from importlib.metadata import distribution
import vllm
found = distribution("vllm")
print("vllm-forge-answer", json.dumps({
    "version": found.version,
    "said": vllm.__version__,
    "file": vllm.__file__,
    "direct_url": found.read_text("direct_url.json"),
}))
"""
ANSWER = "vllm-forge-answer "
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def prove_import(
    python: Path, *, expected: str | None, tree: Path | None, run: RunCommand, cwd: Path
) -> tuple[Check, ...]:
    """`import vllm` in the environment: that it works, says this version, and lies in this tree.

    `cwd` is a folder without a `vllm` in it: Python looks there first.
    """
    said = run([python, "-c", IMPORT], cwd=cwd, timeout=IMPORT_SECONDS)
    answer = parse_answer(said.stdout)
    if said.code != 0 or answer is None:
        reason = root_error(f"{said.stdout}\n{said.stderr}")
        return (Check("import:vllm", CheckStatus.FAILED, reason[0] if reason else "died", reason),)
    version, file = str(answer["version"]), str(answer["file"])
    checks = [
        Check("import:vllm", CheckStatus.PASSED, f"vllm {answer['said']} imports from {file}")
    ]
    if expected is not None:
        right = version == expected
        checks.append(
            Check(
                "version:vllm",
                CheckStatus.PASSED if right else CheckStatus.FAILED,
                f"the installed metadata says {version}"
                + ("" if right else f", the build is {expected}"),
            )
        )
    if tree is not None:
        inside = Path(file).resolve().is_relative_to(tree.resolve())
        checks.append(
            Check(
                "location:vllm",
                CheckStatus.PASSED if inside else CheckStatus.FAILED,
                f"{'in' if inside else 'not in'} {tree}",
                (str(answer["direct_url"]),),
            )
        )
    return tuple(checks)


def parse_answer(stdout: str) -> dict[str, object] | None:
    """The JSON of the last line a worker marked as its answer; vLLM itself prints much else."""
    for line in reversed(stdout.splitlines()):
        if line.startswith(ANSWER):
            try:
                answer = json.loads(line.removeprefix(ANSWER))
            except ValueError:
                return None
            return answer if isinstance(answer, dict) else None
    return None


def root_error(said: str) -> tuple[str, ...]:
    """The exception that started it, not the one that ended it: up to four lines, telling first.

    vLLM's engine runs in a process of its own; the parent only says that it failed ("See root
    cause above"). The first exception line of the log that is not of that kind is the root.
    """
    errors: list[str] = []
    for line in COLOURS.sub("", said).splitlines():
        bare = line.split("] ", 1)[-1].strip() if line.startswith("(") else line.strip()
        name, _, message = bare.partition(":")
        if not name.replace(".", "").replace("_", "").isalnum():
            continue
        if not name.rsplit(".", 1)[-1].endswith(("Error", "Exception", "Interrupt")):
            continue
        if "Engine core initialization failed" in message or "EngineDeadError" in name:
            continue
        errors.append(bare)
    last = [line.strip() for line in COLOURS.sub("", said).splitlines() if line.strip()][-1:]
    return tuple(dict.fromkeys(errors))[:4] or tuple(last)
