"""Pieces of advice that depend on the machine: how many jobs, which toolkit, which package."""

from packaging.version import InvalidVersion, Version

from vllm_forge.diagnose.signature import Scene
from vllm_forge.resolve.advice import GIB, install_line

JOB_BYTES = 6 * GIB
"""FlashAttention 3 takes 5.7 GB for one file (measured with v0.10.1 and nvcc 12.4)."""
SPARE_BYTES = 2 * GIB


def memory_bytes(scene: Scene) -> int | None:
    """What compilers may use: the cgroup's limit where there is one, else all memory."""
    memory = scene.machine.memory
    known = [size for size in (memory.limit_bytes, memory.total_bytes) if size]
    return min(known) if known else None


def safe_jobs(scene: Scene) -> int:
    """As many compilers as memory and cores allow; 2 where the machine is unknown (vllm#3180)."""
    memory = memory_bytes(scene)
    if memory is None:
        return 1 if scene.clues.get("jobs") in {"1", "2"} else 2
    jobs = max(1, (memory - SPARE_BYTES) // JOB_BYTES)
    cores = scene.machine.cpu.cores
    return min(jobs, cores) if cores else jobs


def install(scene: Scene, debian: str, fedora: str) -> str:
    """The distribution's own command for a system package; both where it is unknown."""
    if scene.machine.os is not None:
        return install_line(scene.machine, debian, fedora)
    return (
        f"apt-get install {debian}   (Debian, Ubuntu)   or   dnf install {fedora}   (Fedora, RHEL)"
    )


def python_version(scene: Scene) -> str:
    """`3.12` from the log, else from the machine's only Python, else `3`."""
    if version := scene.clues.get("python"):
        return version
    pythons = {".".join(p.version.split(".")[:2]) for p in scene.machine.pythons or ()}
    return pythons.pop() if len(pythons) == 1 else "3"


def toolkit_path(scene: Scene, version: str) -> str | None:
    """Where this machine has a CUDA toolkit of that major.minor."""
    wanted = version.split(".")[:2]
    for toolkit in scene.machine.toolkits or ():
        if toolkit.version.split(".")[: len(wanted)] == wanted:
            return toolkit.path
    return None


def newest_toolkit(scene: Scene) -> str | None:
    toolkits = scene.machine.toolkits or ()
    return max(toolkits, key=lambda toolkit: number(toolkit.version)).path if toolkits else None


def compiler_at_most(scene: Scene, major: int) -> str | None:
    """The newest g++ of this machine that is not newer than `major`."""
    fitting = [
        compiler
        for compiler in scene.machine.compilers or ()
        if "g++" in compiler.name and number(compiler.version).major <= major
    ]
    return max(fitting, key=lambda compiler: number(compiler.version)).path if fitting else None


def capabilities(scene: Scene) -> str | None:
    """`8.9;9.0`: the compute capabilities of this machine's GPUs."""
    found = {gpu.capability for gpu in scene.machine.gpus or () if gpu.capability}
    return ";".join(sorted(found, key=number)) if found else None


def has_gpu(scene: Scene) -> bool | None:
    """None where the machine is unknown."""
    return None if scene.machine.gpus is None else bool(scene.machine.gpus)


def chosen(scene: Scene, subject: str) -> str | None:
    """What the plan chose for a subject (`choices` in `plan --json`)."""
    choices = scene.plan.get("choices")
    choice = choices.get(subject) if isinstance(choices, dict) else None
    value = choice.get("value") if isinstance(choice, dict) else None
    return value if isinstance(value, str) and value else None


def number(text: str) -> Version:
    """A version to compare with; 0 for what is none."""
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")
