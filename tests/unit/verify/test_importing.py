"""What is concluded from importing extensions, with and without a driver."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from vllm_forge.records.check import CheckStatus
from vllm_forge.records.doors import Completed
from vllm_forge.verify.extensions import (
    Imported,
    Session,
    import_extensions,
    judge_import,
    parse_session,
    prove_registered,
)

NO_DRIVER = Imported("ImportError: libcuda.so.1: cannot open shared object file: No such file")
ABSENT = "libcuda.so.1 comes with the GPU driver, and there is none here"
GOOD = Imported(None, {"_C::a": True})

SAID = """\
INFO 11-25 [__init__.py:245] No platform detected
vllm-forge-answer {"trying": "vllm._C"}
vllm-forge-answer {"module": "vllm._C", "error": null, "operators": {"_C::a": true}}
vllm-forge-answer {"devices": 0, "why": "no driver"}
"""


def test_the_workers_lines_among_vllms() -> None:
    assert parse_session(SAID) == Session({"vllm._C": GOOD}, 0, "no driver", "vllm._C")


def said(code: int, stdout: str) -> Session:
    def run(command: Sequence[str | Path], **_: Any) -> Completed:  # noqa: ANN401 -- as a door has
        assert command[0] == Path("/e/bin/python")
        return Completed(code, stdout, "")

    python, cwd = Path("/e/bin/python"), Path("/")
    modules = {"vllm._C": Path("/t/_C.so"), "vllm._moe_C": Path("/t/_moe_C.so")}
    return import_extensions(python, modules, environ={}, run=run, cwd=cwd)


def test_one_that_ends_the_interpreter_is_named() -> None:
    """As the worker leaves it: the second was begun and never answered."""
    session = said(
        -11,
        SAID.replace(
            '{"devices": 0, "why": "no driver"}', '{"trying": "vllm._moe_C"}\nSegmentation fault'
        ),
    )
    assert session.modules["vllm._C"] == GOOD
    assert session.modules["vllm._moe_C"].error == (
        "the interpreter ended with code -11: Segmentation fault"
    )
    assert session.devices is None


def test_one_that_ends_the_interpreter_when_its_file_is_loaded_is_named() -> None:
    session = said(-11, 'vllm-forge-answer {"trying": "vllm._moe_C"}\n')
    assert session.modules["vllm._moe_C"].error == "the interpreter ended with code -11"
    assert session.modules["vllm._C"].error == (
        "not tried: the interpreter ended with code -11, at vllm._moe_C"
    )


@pytest.mark.parametrize(
    ("real", "stubbed", "status", "detail"),
    [
        (GOOD, None, CheckStatus.PASSED, "imports and registers 1 operator"),
        (
            Imported("ImportError: undefined symbol: _ZN3c10"),
            None,
            CheckStatus.FAILED,
            "ImportError: undefined symbol: _ZN3c10",
        ),
        (
            NO_DRIVER,
            GOOD,
            CheckStatus.SKIPPED,
            f"{ABSENT}; with the toolkit's stub in its place it imports and registers 1 operator",
        ),
        (
            NO_DRIVER,
            None,
            CheckStatus.SKIPPED,
            f"{ABSENT}; nor a stub of it to import with",
        ),
        (
            NO_DRIVER,
            Imported("ImportError: no symbol cuNew"),
            CheckStatus.FAILED,
            "with a stub of libcuda.so.1 in the driver's place: ImportError: no symbol cuNew",
        ),
    ],
)
def test_only_a_missing_driver_is_forgiven(
    real: Imported, stubbed: Imported | None, status: CheckStatus, detail: str
) -> None:
    check = judge_import("vllm._C", real, stubbed)
    assert (check.status, check.detail) == (status, detail)


def test_operators_against_the_sources() -> None:
    registered = {"_C::a": True, "_C::b": False, "_C::c": False}
    check = prove_registered("_C", registered, ["_C::a", "_C::b"], {"_C::b": ["csrc/b.cu"]})
    assert check.status is CheckStatus.PASSED
    assert check.detail == (
        "registers 3, all 2 that its sources define; 2 defined without an implementation: "
        "_C::b, _C::c"
    )
    assert check.evidence == (
        "_C::b is defined; csrc/b.cu, which implements it, is not compiled for these GPUs",
        "_C::c is defined, and no source of the tree implements it",
    )
    check = prove_registered("_C", registered, ["_C::a", "_C::lost"], {})
    assert check.status is CheckStatus.FAILED
    assert check.evidence[0] == "_C::lost"
    assert prove_registered("_C", {}, [], {}).status is CheckStatus.SKIPPED
