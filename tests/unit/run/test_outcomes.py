"""What became of each step, heard from the events on their way to the screen."""

from pathlib import Path

from vllm_forge.records.event import Event, StepFailed, StepFinished, StepSkipped, StepStarted
from vllm_forge.records.plan import Plan, PlannedTarget, Source, Step
from vllm_forge.run.outcomes import LAST_BUILD, Outcomes, read_last_build

NAMES = ("source", "environment", "configure", "compile", "register")
PLAN = Plan(
    "ok",
    "key",
    {},
    targets=(PlannedTarget("_C", build=True, because="asked for"),),
    steps=tuple(Step(name, f"do {name}", Source("tree", "/tree"), (), "f") for name in NAMES),
)


def kept_after(folder: Path, *events: Event) -> list[tuple[str, str, str, float | None]]:
    heard: list[Event] = []
    outcomes = Outcomes(PLAN, heard.append)
    for event in events:
        outcomes.emit(event)
    outcomes.keep(folder)
    assert heard == [*events]
    last = read_last_build(folder)
    assert last is not None
    assert last.targets == PLAN.targets
    assert [one.title for one in last.outcomes] == [step.title for step in PLAN.steps]
    return [(one.step, one.state, one.because, one.seconds) for one in last.outcomes]


def test_each_way_a_step_can_go(tmp_path: Path) -> None:
    assert kept_after(
        tmp_path,
        StepSkipped("source", "", "unchanged", 1.0),
        StepStarted("environment", "", 1.0, "python is gone"),
        StepFinished("environment", 3.5, "made"),
        StepStarted("configure", "", 4.0),
        StepFailed("configure", 5.0, "CMake said no", "/log"),
    ) == [
        ("source", "kept", "unchanged", None),
        ("environment", "done", "python is gone", 2.5),
        ("configure", "failed", "CMake said no", 1.0),
        ("compile", "not reached", "", None),
        ("register", "not reached", "", None),
    ]


def test_what_never_ended_was_interrupted(tmp_path: Path) -> None:
    outcomes = kept_after(tmp_path, StepStarted("source", "", 1.0))
    assert outcomes[0] == ("source", "interrupted", "", None)


def test_a_report_is_not_worth_failing_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    Outcomes(PLAN, lambda _event: None).keep(tmp_path / "file" / "below")
    assert read_last_build(tmp_path / "file") is None
    (tmp_path / LAST_BUILD).write_text("{")
    assert read_last_build(tmp_path) is None
