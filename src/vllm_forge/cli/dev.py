"""`dev`: watch a tree, compile what an edit touches, replace the extension."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Annotated, Literal

from cyclopts import Parameter

from vllm_forge.cli.build import Extras, build_document, built_of
from vllm_forge.cli.common import Common, put, say
from vllm_forge.cli.doors import open_doors_of, with_store
from vllm_forge.cli.planning import DEFAULT_RELEASE, make_plan
from vllm_forge.cli.watching import watching
from vllm_forge.records.codec import render_json
from vllm_forge.records.event import Emit, Event, StepSkipped, StepStarted
from vllm_forge.records.plan import Plan
from vllm_forge.records.problem import ExitCode, Problem
from vllm_forge.records.receipt import Receipt
from vllm_forge.records.schedule import ScheduleRecord
from vllm_forge.records.wishes import Wishes
from vllm_forge.resolve.edits import Edit, judge_edit
from vllm_forge.run.built import keep_built
from vllm_forge.run.doing.native import STORED
from vllm_forge.run.execute import execute
from vllm_forge.run.marks import marks_of
from vllm_forge.run.receipts import why_redo_any
from vllm_forge.run.scheduler import read_latest
from vllm_forge.run.watch import Saved, watch_tree
from vllm_forge.show.dev import render_loaded, render_saved
from vllm_forge.show.problem import render_problem


@dataclass(frozen=True, slots=True)
class LoopDocument:
    """One line of `dev --json` for each save.

    `seconds` are from the save until the extensions could be imported.
    """

    status: Literal["built", "unchanged", "python", "failed"]
    files: tuple[str, ...]
    seconds: float | None = None
    compiled: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()


def dev(
    *,
    wishes: Annotated[Wishes, Parameter(name="*")] = Wishes(),  # noqa: B008 -- frozen
    install_system_packages: Annotated[bool, Parameter(negative="")] = False,
    dry_run: Annotated[bool, Parameter(name=["--dry-run", "-n"], negative="")] = False,
    common: Common = Common(),  # noqa: B008 -- frozen
) -> int:
    """Build a tree of yours, then rebuild at every save what the edit touches; Ctrl-C ends it.

    --vllm names the tree; without it, it is the folder you are in.

    Parameters
    ----------
    install_system_packages
        Install missing distribution packages with apt instead of unpacking them under the home.
    dry_run
        Print the plan and stop.
    """
    tree = find_tree(wishes.vllm, Path.cwd())
    wishes = replace(wishes, vllm=str(tree))
    loop = _Loop(tree, wishes, Extras(install_system=install_system_packages), common)
    if dry_run:
        build_document(wishes, common, loop.extras, dry_run=True)
        return ExitCode.DONE
    if not loop.build():
        return ExitCode.REFUSED
    try:
        for number, saved in enumerate(watch_tree(tree)):
            if number == 0:
                loop.begin()
            loop.hear(saved)
    except KeyboardInterrupt:
        loop.say("stopped watching")
    return ExitCode.DONE


def find_tree(wish: str | None, here: Path) -> Path:
    """The folder to watch.

    Raises:
        Problem: exit 2 for a release, whose unpacked tree is not for editing, or where none is.
    """
    named = here if wish is None else Path(wish).expanduser()
    if (named / "CMakeLists.txt").is_file() and (named / "vllm").is_dir():
        return named.resolve()
    what = f"{here} is no vLLM tree" if wish is None else f"--vllm {wish} is no folder with a tree"
    raise Problem(
        f"{what}: dev watches a tree of yours",
        hints=(
            "vllm-forge dev --vllm FOLDER   # a checkout of vLLM, or a copy of a release's tree",
            f"vllm-forge build --vllm {wish or DEFAULT_RELEASE}   # unpacks one into sources/",
        ),
        exit_code=ExitCode.USAGE,
    )


class _Loop:
    """A tree being watched: its plan, made once, and made again when what it stands on is saved."""

    def __init__(self, tree: Path, wishes: Wishes, extras: Extras, common: Common) -> None:
        self.extras = extras
        self._tree = tree
        self._wishes = wishes
        self._common = common
        self._plan: Plan | None = None
        self._emit: Emit = _ignore
        self._begun = False
        doors = open_doors_of(wishes, common.place, self._hear)
        self._doors = with_store(doors, wishes.store)

    def _hear(self, event: Event) -> None:
        self._begun |= isinstance(event, StepStarted)
        self._emit(event)

    def say(self, line: str) -> None:
        if not self._common.quiet:
            say(line)

    def build(self) -> bool:
        """As `build` does it; False when the plan is refused. A failed compile is no end."""
        try:
            document = build_document(self._wishes, self._common, self.extras, dry_run=False)
        except Problem as problem:
            if problem.exit_code is not ExitCode.FAILED:
                raise
            self._tell(("the first build",), problem)
            system = self.extras.install_system
            self._plan = make_plan(self._wishes, self._doors, install_system=system).plan
            return True
        if document is None or document.status == "refused":
            return False
        self._plan = document.plan
        return True

    def begin(self) -> None:
        """Catch up with what was saved before the watch began, then say that it did.

        In the other order a save in between is built here, without its name.
        """
        if self._why_redo() is not None:
            self._compile((), time())
        self.say(f"watching {self._tree}; Ctrl-C ends it")

    def hear(self, saved: tuple[Saved, ...]) -> None:
        asked = {one: judge_edit(one.path) for one in saved}
        most = max(asked.values(), default=Edit.NOTHING)
        heard = {one: edit for one, edit in asked.items() if edit >= min(most, Edit.COMPILE)}
        files = tuple(str(one.path) for one in heard)
        saved_at = min((one.at for one in heard), default=0.0)
        match most:
            case Edit.NOTHING:
                return
            case Edit.PYTHON:
                self.say(render_saved(files, "Python only, importable as it is"))
                self._put(LoopDocument("python", files, 0.0))
            case Edit.PLAN:
                self.say(render_saved(files, "a plan is made from it; planning again"))
                if self._plan_again(files) and self._why_redo() is not None:
                    self._compile(files, saved_at)
            case Edit.COMPILE | Edit.CONFIGURE:
                self._compile(files, saved_at)

    def _why_redo(self) -> str | None:
        plan = self._made_plan
        return why_redo_any(marks_of(plan), self._doors.home.receipts(plan.key))

    def _plan_again(self, files: tuple[str, ...]) -> bool:
        try:
            plan = make_plan(
                self._wishes, self._doors, install_system=self.extras.install_system
            ).plan
        except Problem as problem:
            self._tell(files, problem)
            return False
        if plan.status == "refused":
            causes = tuple(f"{one.subject}: {one.because[0].fact}" for one in plan.refusals)
            self._tell(files, Problem("the plan is refused", causes=causes))
            return False
        self._plan = plan
        return True

    def _compile(self, files: tuple[str, ...], saved_at: float) -> None:
        """Execute the plan; what is not touched by the edit stands, and is not spoken of."""
        began = datetime.now(UTC)
        plan = self._made_plan
        receipts_folder = self._doors.home.receipts(plan.key)
        self._begun = False
        try:
            with watching(quiet=self._common.quiet) as emit:
                self._emit = _without_skipped(emit)
                receipts = execute(plan, self._doors)
                seconds = importable_since(saved_at, receipts)
                keep_built(built_of(plan, receipts), self._doors.home)
        except Problem as problem:
            if problem.exit_code is ExitCode.INTERRUPTED:
                raise
            self._tell(files, problem)
            return
        finally:
            self._emit = _ignore  # the board has ended; planning is not spoken of
        if not self._begun:  # saved with the same bytes, or done while it was compiled
            self.say(render_saved(files, "nothing to do"))
            self._put(LoopDocument("unchanged", files, 0.0))
            return
        record = read_latest(receipts_folder)
        if record is None or datetime.fromisoformat(record.started) < began:
            record = None
        self.say(render_loaded(files, seconds, record, _restored(receipts)))
        self._put(LoopDocument("built", files, round(seconds, 3), _names(record)))

    @property
    def _made_plan(self) -> Plan:
        assert self._plan is not None  # noqa: S101 -- `build` comes first
        return self._plan

    def _tell(self, files: tuple[str, ...], problem: Problem) -> None:
        say(render_problem(problem).rstrip())
        self.say("watching goes on")
        self._put(LoopDocument("failed", files, None, (), (problem.message, *problem.causes)))

    def _put(self, document: LoopDocument) -> None:
        if self._common.json:
            put(render_json(document, indent=0))


def _ignore(_event: Event) -> None: ...


def importable_since(saved_at: float, receipts: tuple[Receipt, ...]) -> float:
    """Seconds from the save until the last extension was put into the package.

    Its folder says when: it was renamed into it. What is written down afterwards, for the store and
    the next build, nobody waits for.
    """
    placed = [
        Path(thing.path).parent.stat().st_mtime
        for one in receipts
        if one.step == "compile"
        for thing in one.made
    ]
    last = max(placed, default=0.0)
    return (last if last > saved_at else time()) - saved_at


def _restored(receipts: tuple[Receipt, ...]) -> str:
    """Extensions that the store had, of this build."""
    return next(
        (
            str(one.facts[STORED])
            for one in receipts
            if one.step == "compile" and one.facts.get(STORED)
        ),
        "",
    )


def _names(record: ScheduleRecord | None) -> tuple[str, ...]:
    return () if record is None else tuple(one.command.name for one in record.compiles)


def _without_skipped(emit: Emit) -> Emit:
    def heard(event: Event) -> None:
        if not isinstance(event, StepSkipped):
            emit(event)

    return heard
