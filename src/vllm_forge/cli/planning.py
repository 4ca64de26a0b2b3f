"""Gather the facts, call the pure rules, assemble: what plan, build and up begin with."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from vllm_forge.plan.assemble import Origin, assemble
from vllm_forge.probe import parse_machine, read_machine
from vllm_forge.records.home import Home
from vllm_forge.records.machine import Machine
from vllm_forge.records.plan import Plan, Source
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.release import Release
from vllm_forge.records.sourced import Sourced
from vllm_forge.records.wishes import Isa, Wishes
from vllm_forge.release import read_release
from vllm_forge.resolve.isa import SWITCH
from vllm_forge.resolve.resolution import Given, resolve
from vllm_forge.run.files import make_home
from vllm_forge.run.process import run_command
from vllm_forge.run.reach import read_code_host
from vllm_forge.run.source import find_sdist, obtain_source
from vllm_forge.run.steps import Doors

CPU_RULES = "cmake/cpu_extension.cmake"
ONEDNN = "https://github.com/oneapi-src/oneDNN.git"


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with the facts it was made from."""

    plan: Plan
    machine: Machine
    release: Release
    origin: Origin


def make_plan(
    wishes: Wishes, doors: Doors, *, machine_file: Path | None = None, install_system: bool = False
) -> Planned:
    """Facts, then decisions, then the plan. Reads; makes nothing but what reading needs."""
    make_home(doors.home.path)
    machine = read_here_or_file(doors.home, machine_file)
    release, origin, tree = read_release_of(wishes.vllm, doors)
    switch = read_isa_switch(tree)
    if not doors.offline and machine_file is None and _needs_code_host(wishes, machine, switch):
        reached = read_code_host(ONEDNN, doors.home.path / "reach.json", run_command)
        machine = replace(machine, reachable=replace(machine.reachable, code_host=reached))
    given = Given(
        wishes=wishes,
        machine=machine,
        release=release,
        isa_switch=switch,
        system_packages_into=doors.home.system("debian"),
        install_system_packages=install_system,
    )
    plan = assemble(
        resolve(given),
        release,
        origin,
        home=doors.home,
        environment=wishes.env.absolute() if wishes.env else None,
        arch=machine.cpu.arch or "x86_64",
    )
    return Planned(plan, machine, release, origin)


def read_here_or_file(home: Home, machine_file: Path | None) -> Machine:
    """This machine, or the one a file describes."""
    if machine_file is None:
        return read_machine(run_command, home=home.path)
    try:
        text = machine_file.read_bytes()
    except OSError as error:
        raise Problem(f"{machine_file}: {error.strerror}", exit_code=ExitCode.BAD_INPUT) from error
    return parse_machine(text, str(machine_file))


def read_release_of(wish: str, doors: Doors) -> tuple[Release, Origin, Path]:
    """Facts of the tree that `--vllm` names, where it comes from, and a folder that holds it."""
    if wish.startswith("git+"):
        url, _, ref = wish.removeprefix("git+").rpartition("@")
        if not url:
            url, ref = ref, "HEAD"
        mark = hashlib.sha256(f"{url}\0{ref}".encode()).hexdigest()[:8]
        origin = Origin("git", url=url, ref=ref)
        tree = doors.home.source(f"git-{mark}")
        source = Source("git", str(tree), url=url, ref=ref)
    elif "/" in wish or wish.startswith(".") or Path(wish).is_dir():
        tree = Path(wish).expanduser().resolve()
        if not tree.is_dir():
            raise Problem(f"{wish} is no folder", exit_code=ExitCode.BAD_INPUT)
        return read_release(tree), Origin("tree", path=tree), tree
    else:
        version = str(find_sdist(wish, doors.settings, doors.network).version)
        origin = Origin("sdist")
        tree = doors.home.source(f"vllm-{version}")
        source = Source("sdist", str(tree), version=version)
    if not (tree / "CMakeLists.txt").exists():
        obtain_source(
            source,
            downloads=doors.home.downloads,
            settings=doors.settings,
            network=doors.network,
            log=doors.home.logs("sources") / f"{tree.name}.log",
        )
    return read_release(tree), origin, tree


def read_isa_switch(tree: Path) -> Sourced[bool]:
    """Whether the tree's CPU rules can leave AVX-512, and oneDNN with it, out."""
    try:
        lines = (tree / CPU_RULES).read_text(encoding="utf-8").splitlines()
    except OSError:
        return Sourced(None, f"looked for {CPU_RULES}")
    for number, line in enumerate(lines, start=1):
        if SWITCH in line:
            return Sourced(value=True, source=f"{CPU_RULES}:{number}")
    return Sourced(value=False, source=CPU_RULES)


def _needs_code_host(wishes: Wishes, machine: Machine, switch: Sourced[bool]) -> bool:
    if wishes.isa is Isa.AVX2 and switch.value:
        return False
    return "avx512f" in (machine.cpu.flags or ()) or not switch.value
