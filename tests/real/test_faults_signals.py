"""Stopped in each step: nobody is left behind, and the next build goes on from there."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vllm_forge.records.problem import ExitCode

if TYPE_CHECKING:
    from tests.support.program import Running
    from tests.support.tiny import Tiny

pytestmark = [pytest.mark.network, pytest.mark.compile, pytest.mark.slow]

StepsOf = Callable[[str], dict[str, str]]


def at(step: str) -> "Callable[[Tiny, Running], None]":
    """As soon as stderr names the step."""

    def reach(_tiny: "Tiny", build: "Running") -> None:
        build.wait_for(f"[{step}] ")

    return reach


def in_torch(tiny: "Tiny", build: "Running") -> None:
    """uv is putting torch's files into the environment."""
    build.wait_until(lambda: any(tiny.forge.home.glob("envs/*/lib/*/site-packages/torch/*")))


def in_proof(tiny: "Tiny", build: "Running") -> None:
    """The new environment's Python is importing torch."""
    build.wait_until(lambda: any("import json, torch" in line for line in tiny.forge.survivors()))


def in_compiler(tiny: "Tiny", build: "Running") -> None:
    """g++ is compiling the longest file."""
    build.wait_until(
        lambda: any("cc1plus" in line and "add.cpp" in line for line in tiny.forge.survivors())
    )


MOMENTS: "dict[str, tuple[str, Callable[[Tiny, Running], None]]]" = {
    "system-packages": ("system-packages", at("system-packages")),
    "source": ("source", at("source")),
    "environment": ("environment", at("environment")),
    "environment-torch": ("environment", in_torch),
    "environment-proof": ("environment", in_proof),
    "requirements": ("requirements", at("requirements")),
    "configure": ("configure", at("configure")),
    "compile": ("compile", in_compiler),
}
ENDS = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.INTERRUPTED,
    signal.SIGKILL: -signal.SIGKILL,
}


@pytest.fixture(scope="module", params=[signal.SIGINT, signal.SIGKILL], ids=lambda sign: sign.name)
def stopped(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    make_tiny: "Callable[[Path], Tiny]",
) -> "tuple[signal.Signals, Tiny]":
    """One home for each signal: every test stops the build a little later than the one before."""
    return request.param, make_tiny(tmp_path_factory.mktemp("stopped"))


@pytest.mark.parametrize("moment", MOMENTS)
def test_stopped_in(stopped: "tuple[signal.Signals, Tiny]", moment: str, steps_of: StepsOf) -> None:
    sign, tiny = stopped
    step, reach = MOMENTS[moment]
    build = tiny.start_build()
    reach(tiny, build)
    assert build.end(sign) == ENDS[sign], build.said
    tiny.forge.expect_nobody()
    again = tiny.start_build()
    again.wait_for(f"[{step}] ")
    assert again.end(sign) == ENDS[sign], again.said
    tiny.forge.expect_nobody()
    steps = steps_of(again.said)
    earlier = list(steps)[: list(steps).index(step)]
    assert {steps[name] for name in earlier} <= {"unchanged"}, again.said


def test_then_it_is_finished(stopped: "tuple[signal.Signals, Tiny]", steps_of: StepsOf) -> None:
    _, tiny = stopped
    done = tiny.build()
    assert done.returncode == 0, done.stderr
    steps = steps_of(done.stderr)
    kept = [name for name, state in steps.items() if state == "unchanged"]
    assert kept == ["system-packages", "source", "environment", "requirements", "configure"]
    assert (steps["compile"], steps["register"]) == ("done", "done")
    assert tiny.add(2, 3).stdout == "5\n"
    assert not list(tiny.forge.home.rglob("*.half"))


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM], ids=lambda sign: sign.name)
def test_an_ended_build_says_how_to_go_on(
    tiny: "Tiny", sign: signal.Signals, steps_of: StepsOf
) -> None:
    source = tiny.tree / "csrc" / "cpu" / "add.cpp"
    source.write_text(f"{source.read_text()}// {sign.name}\n")
    build = tiny.start_build()
    in_compiler(tiny, build)
    assert build.end(sign) == ENDS[sign]
    assert "run the same command again" in build.said
    tiny.forge.expect_nobody()
    done = tiny.build()
    assert done.returncode == 0, done.stderr
    assert steps_of(done.stderr)["compile"] == "done"
    assert tiny.add(2, 3).stdout == "5\n"


def test_a_second_interrupt_leaves_nobody_behind_either(tiny: "Tiny") -> None:
    source = tiny.tree / "csrc" / "cpu" / "add.cpp"
    source.write_text(f"{source.read_text()}// twice\n")
    build = tiny.start_build()
    in_compiler(tiny, build)
    build.process.send_signal(signal.SIGINT)
    assert build.end(signal.SIGINT) != 0
    tiny.forge.expect_nobody()
    assert tiny.build().returncode == 0
