"""Gather the facts, call the pure rules, assemble: what plan, build and up begin with."""

from dataclasses import dataclass, replace
from pathlib import Path

from vllm_forge.checkpoint.read import read_checkpoint
from vllm_forge.cli.offering import read_offers
from vllm_forge.cli.publishing import edits_of, published_for
from vllm_forge.cli.tree_facts import facts_of_release
from vllm_forge.plan.assemble import Origin, Setting, assemble
from vllm_forge.probe import parse_machine, read_machine
from vllm_forge.probe.cuda_tables import read_cuda_table
from vllm_forge.probe.lent import read_lent
from vllm_forge.probe.system import read_offered_gcc
from vllm_forge.records.decision import Chosen, Reason
from vllm_forge.records.facts import TreeFacts
from vllm_forge.records.home import Home
from vllm_forge.records.lent import Lent
from vllm_forge.records.machine import Machine
from vllm_forge.records.plan import Plan, Reuse, Source
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.release import Release
from vllm_forge.records.reuse import ReadEdits
from vllm_forge.records.wishes import Device, Isa, Wishes
from vllm_forge.release import known_releases, known_torches
from vllm_forge.resolve.device import choose_device
from vllm_forge.resolve.given import Given, no_edits, wished_release
from vllm_forge.resolve.isa import read_switch
from vllm_forge.resolve.release import choose_release
from vllm_forge.resolve.resolution import resolve
from vllm_forge.resolve.spelling import check_spelling
from vllm_forge.run.doors import Doors
from vllm_forge.run.files import make_home
from vllm_forge.run.process import run_command
from vllm_forge.run.reach import read_code_host
from vllm_forge.run.scheduler.predict import read_table

DEFAULT_RELEASE = "0.10.1"
WISHED_NONE = Reason(f"no --vllm was given: {DEFAULT_RELEASE}", "the recipe people follow")


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with the facts it was made from."""

    plan: Plan
    machine: Machine
    release: Release


def make_plan(
    wishes: Wishes,
    doors: Doors,
    *,
    machine_file: Path | None = None,
    install_system: bool = False,
    locked: str | None = None,
) -> Planned:
    """Facts, then decisions, then the plan. Reads; makes nothing but what reading needs."""
    check_spelling(wishes)
    make_home(doors.home.path)
    checkpoint = wished_checkpoint(wishes)
    machine = read_here_or_file(doors.home, machine_file)
    arch = machine.cpu.arch or "x86_64"
    facts, origin = read_facts(wishes.vllm or DEFAULT_RELEASE, doors)
    url = None if machine_file or doors.offline else _code_host(wishes, machine, facts)
    if url is not None:
        reached = read_code_host(url, doors.home.path / "reach.json", run_command)
        machine = replace(machine, reachable=replace(machine.reachable, code_host=reached))
    given = Given(
        wishes=wishes,
        machine=machine,
        facts=facts,
        is_release=origin.kind == "sdist",
        cuda=read_cuda_table(),
        torches=known_torches(),
        known=known_releases(),
        facts_of=facts_of_release,
        unpack_into=str(doors.home.system),
        why_release=WISHED_NONE if wishes.vllm is None else wished_release(wishes.vllm),
        install_system_packages=install_system,
        checkpoint=None if checkpoint is None else read_checkpoint(checkpoint),
        variables=_folders_named(facts.release, doors),
        kept=frozenset(path.name for path in doors.home.sources.glob("*/")),
        costs=read_table(),
        published=published_for(arch, doors),
        edits=_edits(origin, doors),
        lent=None if wishes.torch_from is None else _lent(wishes.torch_from, machine_file),
    )
    if machine_file is None:
        given = replace(given, offers=read_offers(given, doors))
    if wishes.vllm is None:
        given = choose_release(given)
    if wishes.specialize is not None and given.facts.reach is None:
        given = replace(given, facts=read_reaching_facts(given, doors))
    resolution = resolve(given)
    if machine_file is None and any(one.subject == "compiler" for one in resolution.refused):
        machine = replace(machine, offered_gcc=read_offered_gcc(run_command))
        given = replace(given, machine=machine)
        resolution = resolve(given)
    setting = Setting(
        home=doors.home,
        environment=wishes.env.absolute() if wishes.env else None,
        arch=arch,
        locked=locked,
        without=wishes.without,
    )
    plan = assemble(resolution, given.facts.release, origin, setting)
    made = _made_before(plan)
    if made is not None:
        given = replace(given, edits=edits_of(made, doors))
        plan = assemble(resolve(given), given.facts.release, origin, setting)
    return Planned(plan, machine, given.facts.release)


def _edits(origin: Origin, doors: Doors) -> ReadEdits:
    """How the tree differs from its release; an sdist that is still to be unpacked does not."""
    match origin.kind:
        case "sdist":
            return no_edits
        case "tree":
            return edits_of(origin.path or Path(), doors)
        case "git":
            from vllm_forge.cli.fetching import git_folder  # noqa: PLC0415 -- as below

            return edits_of(git_folder(origin.url or "", origin.ref or "", doors.home), doors)


def _made_before(plan: Plan) -> Path | None:
    """A tree under our home that is there already and was perhaps edited, where that matters."""
    actions = [step.action for step in plan.steps]
    if not any(isinstance(action, Reuse) for action in actions):
        return None
    source = next(action for action in actions if isinstance(action, Source))
    there = source.origin != "tree" and (Path(source.path) / "CMakeLists.txt").is_file()
    return Path(source.path) if there else None


def wished_checkpoint(wishes: Wishes) -> Path | None:
    """The model directory of --checkpoint or --specialize.

    Raises:
        Problem: exit 2 where they name two.
    """
    named = {path.resolve() for path in (wishes.checkpoint, wishes.specialize) if path is not None}
    if len(named) > 1:
        raise Problem(
            f"--specialize {wishes.specialize} and --checkpoint {wishes.checkpoint} are two models",
            hints=("a specialized build runs the one it is made for: leave --checkpoint out",),
            exit_code=ExitCode.USAGE,
        )
    return wishes.checkpoint or wishes.specialize


def read_reaching_facts(given: Given, doors: Doors) -> TreeFacts:
    """A known release's facts from its own tree: what reaches what is in no table."""
    from vllm_forge.cli.fetching import read_fetched  # noqa: PLC0415 -- only this asks for the tree

    return read_fetched(given.facts.release.version.value or "", doors)


def read_here_or_file(home: Home, machine_file: Path | None) -> Machine:
    """This machine, or the one a file describes."""
    if machine_file is None:
        return read_machine(run_command, home=home.path)
    try:
        text = machine_file.read_bytes()
    except OSError as error:
        raise Problem(f"{machine_file}: {error.strerror}", exit_code=ExitCode.BAD_INPUT) from error
    return parse_machine(text, str(machine_file))


def read_facts(wish: str, doors: Doors) -> tuple[TreeFacts, Origin]:
    """Facts of the tree that `--vllm` names, and where it comes from.

    A known release is answered by the shipped table; a newer one is fetched and read.
    """
    if not wish.startswith("git+"):
        if "/" in wish or wish.startswith(".") or Path(wish).is_dir():
            tree = Path(wish).expanduser().resolve()
            if not tree.is_dir():
                raise Problem(f"{wish} is no folder", exit_code=ExitCode.BAD_INPUT)
            from vllm_forge.cli.read_tree import facts_of_tree  # noqa: PLC0415 -- as below

            return facts_of_tree(tree, doors), Origin("tree", path=tree)
        known = facts_of_release(wish)
        if known is not None:
            return known, Origin("sdist")
    from vllm_forge.cli.fetching import fetch_facts  # noqa: PLC0415 -- a known release asks nobody

    return fetch_facts(wish, doors)


def _lent(named: str, machine_file: Path | None) -> Lent:
    if machine_file is not None:
        raise Problem(
            "--torch-from names an interpreter of this machine, --machine another machine",
            hints=("leave one of them out",),
            exit_code=ExitCode.USAGE,
        )
    return read_lent(named, run_command)


def _folders_named(release: Release, doors: Doors) -> dict[str, str]:
    """The user's environment variables that name folders of fetched projects."""
    names = (project.override for project in release.projects if project.override)
    return {name: doors.environ[name] for name in names if doors.environ.get(name)}


def _code_host(wishes: Wishes, machine: Machine, facts: TreeFacts) -> str | None:
    """A URL to ask whether it answers, None where no choice hangs on that."""
    device = choose_device(wishes, machine)
    if not isinstance(device, Chosen):
        return None
    urls = [one.url for one in facts.release.projects if device.value in one.devices]
    if not urls or (device.value is Device.CPU and not _isa_is_open(wishes, machine, facts)):
        return None
    return urls[0]


def _isa_is_open(wishes: Wishes, machine: Machine, facts: TreeFacts) -> bool:
    """Whether a CPU build's instruction set hangs on what can be fetched."""
    if read_switch(facts.release).value is not True:
        return True
    return wishes.isa is not Isa.AVX2 and "avx512f" in (machine.cpu.flags or ())
